"""Which attempt counts: the rules, what corrects what, and that no failure to judge beats a grade."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.store.keep import RULES, judgements, kept


@dataclass(frozen=True)
class Outcome:
    status: str
    score: float | None
    max_score: float | None
    evidence_id: int | None


def graded(score: float, evidence: int, most: float = 60) -> Outcome:
    return Outcome("graded", score, most, evidence)


DOWN = Outcome("error", None, None, None)
UNJUDGED = Outcome("error", None, 60, 9)


@pytest.mark.parametrize(("rule", "score"), [("best", 5), ("last", 3), ("first", 4)])
def test_the_rules(rule: str, score: float) -> None:
    mine = [DOWN, graded(4, 1), graded(5, 2), UNJUDGED, graded(3, 3), DOWN]
    assert kept(rule, mine).score == score


def test_best_is_the_greatest_share_where_the_rubric_changed_between_attempts() -> None:
    less, more = graded(55, 1, most=60), graded(60, 2, most=80)
    assert kept("best", [less, more]) == less
    assert kept("best", [more, less]) == less
    assert kept("best", [graded(0, 1, most=0), graded(1, 2)]).score == 1


@pytest.mark.parametrize("rule", RULES)
def test_judging_again_corrects_and_is_no_further_attempt(rule: str) -> None:
    """A check that gave points by mistake was mended: nobody keeps them, also not by `best`."""
    mine = [graded(5, 1), graded(2, 1)]
    assert judgements(mine) == [graded(2, 1)]
    assert kept(rule, mine).score == 2


@pytest.mark.parametrize("rule", RULES)
def test_without_any_grade_the_last_failure_is_told(rule: str) -> None:
    assert kept(rule, [UNJUDGED, DOWN]) == DOWN


outcomes = st.lists(
    st.one_of(
        st.just(DOWN),
        st.builds(graded, st.integers(0, 60), st.integers(1, 4)),
        st.builds(lambda number: Outcome("error", None, 60, number), st.integers(1, 4)),
    ),
    min_size=1,
)


@given(outcomes)
def test_best_is_no_worse_than_the_others_and_a_grade_beats_every_failure(mine: list[Outcome]) -> None:
    chosen = {rule: kept(rule, mine) for rule in RULES}
    looks = judgements(mine)
    assert all(one in looks for one in chosen.values())
    if any(one.status == "graded" for one in looks):
        assert {one.status for one in chosen.values()} == {"graded"}
        assert all((chosen["best"].score or 0) >= (one.score or 0) for one in chosen.values())
