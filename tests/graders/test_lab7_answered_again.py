"""Other answers beside a VM that has been observed: only what they alone ask for is observed anew."""

from __future__ import annotations

from datetime import datetime, timezone

from lab7_answers import RIGHT
from world import LAB, SECRET, World

from labctl.grading import Graded, Result, Verdict, answered_again
from labctl.grading.answers import Answers

SOLUTION = {question: forms[0] for question, forms in RIGHT.items()}


def graded(world: World) -> Graded:
    results = tuple(one for one in world.judge() if not one.check.optional)
    started = datetime.now(timezone.utc)
    return Graded(world.target, results, world.evidence, (), 1.0, 1, 1, started)


def again(world: World, earlier: Graded, **changed: str) -> dict[str, Result]:
    """With other answers: q3f is that to question 3f."""
    texts = {**SOLUTION, **{name.removeprefix("q"): text for name, text in changed.items()}}
    world.asked = []
    found = answered_again(earlier, LAB.rubric, Answers("x", texts), {"lab_secret": SECRET}, world.fetch)
    return {one.check.id: one for one in found}


def lost(results: dict[str, Result]) -> set[str]:
    return {id for id, one in results.items() if one.verdict is not Verdict.PASS}


def test_each_student_loses_what_they_got_wrong_and_the_next_one_does_not() -> None:
    world = World(answers=SOLUTION)
    earlier = graded(world)
    assert lost(again(world, earlier, q1b="applepie", q3f="502")) == {"answer.1b", "answer.3f"}
    assert world.asked == []
    assert lost(again(world, earlier)) == set()
    assert len(again(world, earlier)) == len(earlier.results)


def test_what_only_these_answers_speak_of_is_looked_at() -> None:
    world = World(answers=SOLUTION)
    earlier = graded(world)
    added = SOLUTION["2d"] + "\ngone A 10.77.0.99"
    asks = SOLUTION["2e"] + "\ndig @localhost gone.example.com"
    results = again(world, earlier, q2d=added, q2e=asks)
    assert lost(results) == {"answer.2d"}
    assert "not served: gone.example.com." in results["answer.2d"].judgement.seen
    assert {one.probe.name for wave in world.asked for one in wave} == {"dns"}
