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

    Raises ``ValueError`` and ``TypeError`` for what no check can mean: they would be wrong grades.
    """

    verdict: Verdict
    share: float
    expected: str = ""
    seen: str = ""
    hint: str = ""
    done: tuple[str, ...] = ()
    answer: str = ""
    for_staff: bool = False

    def __post_init__(self) -> None:
        for name in ("expected", "seen", "hint", "answer"):
            if not isinstance(getattr(self, name), str):
                raise TypeError(f"{name} is a text, not {getattr(self, name)!r}")
        if self.verdict is Verdict.FAIL:
            if not 0.0 <= self.share < 1.0:
                raise ValueError(f"a failure has a share of the points below 1, not {self.share}")
            if self.share and self.done:
                raise ValueError("partial credit is a share or the parts that are done, not both")
            if len(set(self.done)) != len(self.done):
                raise ValueError(f"a part that is done counts once, not as in {self.done}")
        elif self.share != (self.verdict is Verdict.PASS) or self.done:
            raise ValueError(
                f"{self.verdict.name} has a share of {self.verdict is Verdict.PASS:d} and no parts"
            )


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
    return Judgement(Verdict.FAIL, share, expected, seen, hint, done, for_staff=for_staff)


def unjudged(seen: str, hint: str = "") -> Judgement:
    """The observations are there and still do not tell: staff must look."""
    return Judgement(Verdict.ERROR, 0.0, seen=seen, hint=hint)
