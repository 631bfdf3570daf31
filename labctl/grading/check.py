"""Writing checks: a few lines, a pure function over observations, its docstring the title that students
read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from labctl.errors import CourseError
from labctl.grading.evidence import See
from labctl.grading.target import Target
from labctl.grading.verdict import Judgement

Judge = Callable[[Target, See], Judgement]
#: Says why a check does not apply to a VM ("" when it does): it is then left out, and not in the maximum.
Applies = Callable[[Target], str]

_ID = re.compile(r"[a-z][a-z0-9]*(\.[a-z0-9][a-z0-9-]*)+\Z")


@dataclass(frozen=True)
class Check:
    """``after`` are the ids of checks without which this one says nothing: when one fails, this one is
    skipped.

    ``disruptive``: it needs an observation that changes the VM for a while; ``--no-disrupt`` leaves it out.
    A check of 0 points is *optional*: information on the scorecard, that can pass or be skipped and nothing
    else.
    """

    id: str
    question: str
    points: float
    title: str
    judge: Judge
    after: tuple[str, ...] = ()
    disruptive: bool = False
    applies: Applies | None = None
    hint: str = ""

    @property
    def optional(self) -> bool:
        return self.points == 0


def check(
    id: str,
    *,
    question: str,
    points: float,
    after: tuple[str, ...] = (),
    disruptive: bool = False,
    applies: Applies | None = None,
    hint: str = "",
) -> Callable[[Judge], Check]:
    """Make a function a check. Its docstring's first line is the title; ``hint`` is shown when it is
    skipped.
    """

    def wrap(judge: Judge) -> Check:
        title = (judge.__doc__ or "").strip().partition("\n")[0]
        if not title:
            raise CourseError(f"check {id}: its function needs a docstring: the title that students read")
        if not _ID.match(id):
            raise CourseError(f"check {id!r}: an id looks like dns.apex-address")
        if points < 0:
            raise CourseError(f"check {id}: points must be 0 (optional) or more")
        return Check(id, question, float(points), title, judge, tuple(after), disruptive, applies, hint)

    return wrap


def only_with_staff(target: Target) -> str:
    """For checks that need the staff's server."""
    return "" if target.has_staff else "checked by staff"


def only_from_elsewhere(target: Target) -> str:
    """For checks that make no sense from the VM itself."""
    return "checked by staff from outside" if target.is_local else ""
