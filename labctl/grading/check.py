"""Writing checks: a few lines, a pure function over observations, its docstring the title that students
read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from labctl.errors import CourseError
from labctl.grading.evidence import See
from labctl.grading.layers import LAYERS, Layer
from labctl.grading.rubric import ANSWER
from labctl.grading.target import Target
from labctl.grading.verdict import Judgement

Judge = Callable[[Target, See], Judgement]
#: Says why a check does not apply to a VM ("" when it does): it is then left out, and not in the maximum.
Applies = Callable[[Target], str]

_ID = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9][a-z0-9-]*)+\Z")


@dataclass(frozen=True)
class Check:
    """``after`` are the ids of checks without which this one says nothing: when one fails, this one is
    skipped. ``explained_by`` are those that this one is judged without, and that come first when both fail.
    ``layer`` is the part of a service that it looks at; None for what belongs to no service.

    ``points`` and ``parts`` (what each part of the check is worth) are what the lab's rubric gives; 0 until a
    :class:`Lab` is made of it. ``disruptive``: it needs an observation that changes the VM for a while;
    ``--no-disrupt`` leaves it out. ``optional``: information on the scorecard, without points, that passes or
    is skipped and nothing else.
    """

    id: str
    question: str
    title: str
    judge: Judge
    layer: Layer | None = None
    after: tuple[str, ...] = ()
    explained_by: tuple[str, ...] = ()
    disruptive: bool = False
    optional: bool = False
    applies: Applies | None = None
    hint: str = ""
    points: float = 0.0
    parts: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_answer(self) -> bool:
        """It judges what the student wrote down, not the VM alone."""
        return self.id.startswith(ANSWER)

    def worth(self, points: float, parts: Mapping[str, float] | None = None) -> Check:
        """The same check with what the rubric gives for it."""
        return replace(self, points=points, parts=parts or {})

    def score(self, judgement: Judgement) -> float:
        """The points for a judgement. Raises ``KeyError`` for a part that this check does not have."""
        return round(self.points * judgement.share + sum(self.parts[one] for one in judgement.done), 2)


def check(
    id: str,
    *,
    question: str,
    layer: Layer | None = None,
    after: tuple[str, ...] = (),
    explained_by: tuple[str, ...] = (),
    parts: tuple[str, ...] = (),
    disruptive: bool = False,
    optional: bool = False,
    applies: Applies | None = None,
    hint: str = "",
) -> Callable[[Judge], Check]:
    """Make a function a check. Its docstring's first line is the title; ``hint`` is shown when it is
    skipped. What it is worth, and each of its ``parts``, stands in the lab's rubric.
    """

    def wrap(judge: Judge) -> Check:
        title = (judge.__doc__ or "").strip().partition("\n")[0]
        if not title:
            raise CourseError(f"check {id}: its function needs a docstring: the title that students read")
        if not _ID.match(id):
            raise CourseError(f"check {id!r}: an id looks like dns.apex-address")
        if layer is not None and layer not in LAYERS:
            raise CourseError(f"check {id}: there is no layer {layer!r}", hint=f"one of: {', '.join(LAYERS)}")
        return Check(
            id=id,
            question=question,
            title=title,
            judge=judge,
            layer=layer,
            after=after,
            explained_by=explained_by,
            disruptive=disruptive,
            optional=optional,
            applies=applies,
            hint=hint,
            parts=dict.fromkeys(parts, 0.0),
        )

    return wrap


def only_with_staff(target: Target) -> str:
    """For checks that need the staff's server."""
    return "" if target.has_staff else "checked by staff"


def only_from_elsewhere(target: Target) -> str:
    """For checks that make no sense from the VM itself."""
    return "checked by staff from outside" if target.is_local else ""
