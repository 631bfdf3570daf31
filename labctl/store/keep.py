"""Which of a VM's attempts counts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar


class Outcome(Protocol):
    """What the rules look at. ``evidence_id`` is None when nothing was seen of the VM."""

    @property
    def status(self) -> str: ...

    @property
    def score(self) -> float | None: ...

    @property
    def max_score(self) -> float | None: ...

    @property
    def evidence_id(self) -> int | None: ...


O = TypeVar("O", bound=Outcome)  # noqa: E741 - the field's letter for it


def _share(outcome: Outcome) -> float:
    """Of the points that there were to be had then: the rubric may have changed between two attempts."""
    return (outcome.score or 0.0) / outcome.max_score if outcome.max_score else 0.0


#: The rules of ``--keep``, over the graded outcomes of one VM, oldest first and at least one.
RULES: dict[str, Callable[[Sequence[O]], O]] = {
    "best": lambda outcomes: max(outcomes, key=_share),
    "last": lambda outcomes: outcomes[-1],
    "first": lambda outcomes: outcomes[0],
}


def judgements(outcomes: Sequence[O]) -> list[O]:
    """Today's judgement of each time the VM was looked at, oldest look first.

    Judging the same evidence again corrects the judgement before: that one counts no longer, by no rule.
    """
    looks: dict[object, O] = {}
    for number, one in enumerate(outcomes):
        looks[("lost", number) if one.evidence_id is None else one.evidence_id] = one
    return list(looks.values())


def kept(rule: str, outcomes: Sequence[O]) -> O:
    """The outcome that counts, by ``rule``, of those of one VM, oldest first and at least one.

    One that is no grade (the VM was down, a check could not be judged) never counts against a grade.
    """
    looks = judgements(outcomes)
    graded = [one for one in looks if one.status == "graded"]
    chosen: O = RULES[rule](graded) if graded else looks[-1]
    return chosen
