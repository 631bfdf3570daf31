"""What a check comes to. A verdict is not a bool: only PASS and FAIL score."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class Verdict(enum.Enum):
    """SKIP: a check that this one needs failed. ERROR: something prevented judging; never a lost point."""

    PASS = "pass"  # noqa: S105  a verdict, not a password
    FAIL = "fail"
    SKIP = "skip"
    ERROR = "error"


@dataclass(frozen=True)
class Judgement:
    """What a check says. ``share`` of the check's points, 0 to 1; a PASS has all. ``done`` names the parts of
    the check that are right, each worth what the rubric gives for it.

    ``expected``, ``seen`` and ``hint`` are read by students. They may quote the VM: whoever shows them
    escapes them. ``answer`` is what the student wrote, for a written answer; ``for_staff``: the judgement
    rests on words alone, and somebody should read them.
    """

    verdict: Verdict
    share: float
    expected: str = ""
    seen: str = ""
    hint: str = ""
    done: tuple[str, ...] = ()
    answer: str = ""
    for_staff: bool = False


def passed(seen: str = "", *, for_staff: bool = False) -> Judgement:
    """Full marks; ``for_staff`` when somebody should read the words that they rest on."""
    return Judgement(Verdict.PASS, 1.0, seen=seen, for_staff=for_staff)


def failed(
    *,
    expected: str,
    seen: str,
    hint: str,
    share: float = 0.0,
    done: tuple[str, ...] = (),
    for_staff: bool = False,
) -> Judgement:
    """A student's own fault: what should be, what is, and a hint that teaches without giving the answer away.

    Partial credit is a ``share`` of the points, below 1 (five of six), or the parts that are ``done``.
    """
    if not 0.0 <= share < 1.0:
        raise ValueError("a failure has a share of the points below 1")
    if share and done:
        raise ValueError("partial credit is a share or the parts that are done, not both")
    return Judgement(Verdict.FAIL, share, expected, seen, hint, done, for_staff=for_staff)


def unjudged(seen: str, hint: str = "") -> Judgement:
    """The observations are there and still do not tell: staff must look."""
    return Judgement(Verdict.ERROR, 0.0, seen=seen, hint=hint)
