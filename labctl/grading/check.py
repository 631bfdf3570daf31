"""Writing checks: a few lines, a pure function over observations, its docstring the title that students
read.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from labctl.errors import CourseError, Place
from labctl.grading.blame import place_of
from labctl.grading.evidence import See
from labctl.grading.layers import LAYERS, Layer
from labctl.grading.rubric import ANSWER
from labctl.grading.target import Target
from labctl.grading.verdict import Judgement, Verdict

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
    def place(self) -> Place | None:
        """Where it begins in the lab's files; None for a check of a written answer, which is wrapped."""
        return None if self.is_answer else place_of(self.judge)

    @property
    def is_answer(self) -> bool:
        """It judges what the student wrote down, not the VM alone."""
        return self.id.startswith(ANSWER)

    def on(self, target: Target) -> tuple[Check, str]:
        """The check as it is judged on a VM, and why it is left out there; "" when it is not.

        Where ``applies`` itself is broken nothing is left out: being judged, the check comes to ERROR.
        """
        try:
            reason = (self.applies(target) if self.applies else "") or ""
            if not isinstance(reason, str):
                raise TypeError(f"applies gives a reason as a text, not {reason!r}")  # noqa: TRY301
        except (Exception, SystemExit) as bug:  # noqa: BLE001  an author's code
            mistake = bug

            def judge(_target: Target, _see: See) -> Judgement:
                raise mistake

            return replace(self, judge=judge), ""
        return self, reason

    def worth(self, points: float, parts: Mapping[str, float] | None = None) -> Check:
        """The same check with what the rubric gives for it."""
        return replace(self, points=points, parts=parts or {})

    def score(self, judgement: Judgement) -> float:
        """The points for a judgement, 0 to all of this check's.

        Raises ``TypeError`` for what is no judgement, ``KeyError`` for a part that this check does not have,
        ``ValueError`` for a failure that keeps all points.
        """
        if not isinstance(judgement, Judgement):
            raise TypeError(f"it returned {judgement!r}, not passed(...) or failed(...)")
        score = round(self.points * judgement.share + sum(self.parts[one] for one in judgement.done), 2)
        if judgement.verdict is Verdict.FAIL and self.points and score >= self.points:
            raise ValueError(f"a failure that keeps {score:g} of {self.points:g} points")
        return score


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
        def wrong(what: str, hint: str = "") -> CourseError:
            return CourseError(f"check {id}: {what}", hint=hint, place=place_of(judge))

        title = (judge.__doc__ or "").strip().partition("\n")[0]
        if not title:
            raise wrong(
                "its function needs a docstring: the title that students read",
                hint="Python was told to leave docstrings out: unset PYTHONOPTIMIZE"
                if sys.flags.optimize > 1
                else "",
            )
        for name, text in (("id", id), ("question", question), ("hint", hint)):
            if not isinstance(text, str):
                raise wrong(f"its {name} is a text, not {text!r}")
        if not _ID.match(id):
            raise wrong("an id looks like dns.apex-address")
        if layer is not None and layer not in LAYERS:
            raise wrong(f"there is no layer {layer!r}", hint=f"one of: {', '.join(LAYERS)}")
        for name, several in (("after", after), ("explained_by", explained_by), ("parts", parts)):
            if isinstance(several, str):
                raise wrong(f"{name} is a tuple", hint=f"write {name}=({several!r},)")
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
