"""Rubrics: one file that says what is asked and what it is worth, and where a mistake in it stands."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import event, given
from hypothesis import strategies as st
from pydantic import TypeAdapter
from rubrics import rubric_for

from labctl.errors import CourseError
from labctl.grading import Check, Judgement, Lab, Rubric, See, Target, check, load_rubric, passed
from labctl.probes import Malformed, decode

GOOD = """\
title: A lab
sections: {a: First, b: Second}
intro: Hello.
questions:
  - id: 1a
    section: a
    do: Do it.
    answer:
      ask: Why?
      points: 1.5
      kind: text
      ideas:
        - name: says why
          points: 1
          any: ["because", "\\\\bsince\\\\b"]
        - {name: says how, points: 1, any: [how]}
  - {id: 2a, section: b}
checks:
  a.one: {points: 2}
  b.two: {points: 0.5}
"""


def make(id: str, question: str, after: tuple[str, ...] = ()) -> Check:
    @check(id, question=question, after=after)
    def made(_vm: Target, _see: See) -> Judgement:
        """It is as it should be."""
        return passed()

    return made


ONE, TWO, WRITTEN = make("a.one", "1a"), make("b.two", "2a"), make("answer.1a", "1a")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rubric.yml"
    path.write_text(GOOD)
    return path


def test_checks_are_worth_what_the_rubric_says_and_answers_what_their_question_says(file: Path) -> None:
    lab = Lab.of("lab", load_rubric(file), (ONE, TWO, WRITTEN))
    assert [(one.id, one.points, lab.section_of(one)) for one in lab.checks] == [
        ("a.one", 2, "a"), ("b.two", 0.5, "b"), ("answer.1a", 1.5, "a"),
    ]  # fmt: skip
    assert (lab.title, list(lab.sections)) == ("A lab", ["a", "b"])
    assert [one.id for one in lab.choose(["a"])] == ["a.one", "answer.1a"]
    assert [one.id for one in lab.choose(["2a"])] == ["b.two"]


@pytest.mark.parametrize(
    ("old", "new", "line", "said", "hint"),
    [
        ("title: A lab\n", "", 1, "title is missing", ""),
        ("title: A lab", "titel: A lab", 1, "titel is not known here", "did you mean title?"),
        ("      ask: Why?\n", "", 9, "questions[0].answer.ask is missing", ""),
        ("kind: text", "kind: txt", 11, "questions[0].answer.kind: input should be 'command'", ""),
        ("kind: text", "kind: word", 9, "not word", ""),
        ("points: 1.5", "points: 3", 9, "2 points together, less than its 3", ""),
        ("points: 1.5", "points: yes", 10, "valid number", ""),
        ("points: 1.5", "points: .nan", 10, "finite", ""),
        ("points: 1.5", "points: -1", 10, "greater than 0", ""),
        ("points: 1.5", f"points: {10**400}", 10, "at most 1000", ""),
        # a score has two decimals: with more, full marks would be out of everybody's reach
        ("points: 1.5", "points: 1.505", 10, "two decimals at most, not 1.505", ""),
        ("{points: 0.5}", "{points: 1, parts: {x: 0.333, y: 0.667}}", 20, "two decimals at most", ""),
        ('["because", ', '["(because", ', 15, "'(because' is not a regular expression", ""),
        ("any: [how]", "ayn: [how]", 16, "ideas[1].ayn is not known here", "did you mean any?"),
        ("a.one: {points: 2}", "a.one: {pionts: 2, points: 1}", 19, "pionts", "did you mean points?"),
        ("b.two: {points: 0.5}", "1.5: {points: 0.5}", 20, "checks.1.5", ""),
        ("a.one: {points: 2}", "a.one: 2", 19, "checks.a.one", ""),
        ("ask: Why?", "ask: ' '", 9, "questions[0].answer.ask: it must not be empty", ""),
        ("b.two: {points: 0.5}", "b.two: {points: 1, parts: {x: 0.5}}", 20, "0.5 points together, not 1", ""),
        ("id: 2a, section: b", "id: 1a, section: b", 17, "1a stands twice (first in line 5)", ""),
        ("id: 2a, section: b", "id: 2a, section: bb", 17, "no section 'bb'", "did you mean b?"),
        (
            "title: A lab",
            "title: A lab\nby_staff: {nosuch: 3}",
            2,
            "by_staff is not for a rubric",
            "",
        ),
        ("id: 2a", "id: 2", 17, "questions[1].id: input should be a valid string", ""),
    ],
)
def test_a_mistake_is_told_with_its_place(
    file: Path, old: str, new: str, line: int, said: str, hint: str
) -> None:
    assert old in GOOD
    file.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(CourseError) as caught:
        load_rubric(file)
    place = caught.value.place
    assert place is not None
    assert (place.path, place.line, place.column > 0) == (file, line, True)
    assert said in caught.value.message
    assert caught.value.hint == hint or not hint


@pytest.mark.parametrize("text", ["", "- a\n", "just text\n", "title: [\n"])
def test_a_file_that_is_no_rubric_is_refused(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(CourseError):
        load_rubric(file)


def test_a_weight_without_a_check_is_told_where_it_stands(file: Path) -> None:
    with pytest.raises(CourseError, match=r"no check b\.two") as caught:
        Lab.of("lab", load_rubric(file), (ONE, WRITTEN, make("b.too", "2a")))
    assert (caught.value.place and caught.value.place.line, caught.value.hint) == (20, "did you mean b.too?")


def test_an_answer_that_nothing_judges_is_told_where_it_stands(file: Path) -> None:
    with pytest.raises(CourseError, match=r"no check answer\.1a") as caught:
        Lab.of("lab", load_rubric(file), (ONE, TWO))
    assert caught.value.place is not None
    assert caught.value.place.line == 8


def test_a_check_without_a_weight_is_told_where_it_belongs(file: Path) -> None:
    with pytest.raises(CourseError, match=r"no points for the check b\.tow") as caught:
        Lab.of("lab", load_rubric(file), (ONE, WRITTEN, TWO, make("b.tow", "2a")))
    assert caught.value.place is not None
    assert caught.value.place.line == 18
    assert "b.two" in caught.value.hint
    # an answer's weight stands with its question, which has none here
    with pytest.raises(CourseError, match=r"answer\.2a"):
        Lab.of("lab", load_rubric(file), (ONE, TWO, WRITTEN, make("answer.2a", "2a")))


def test_a_check_of_no_question_is_refused(file: Path) -> None:
    with pytest.raises(CourseError, match="question 2b") as caught:
        Lab.of("lab", load_rubric(file), (ONE, WRITTEN, make("b.two", "2b")))
    assert caught.value.hint == "it asks: 1a, 2a"


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        ((ONE, ONE), "twice"),
        ((make("a.one", "1a", after=("b.two",)), TWO), "comes later"),
        ((make("a.one", "1a", after=("b.zwei",)),), "does not exist"),
    ],
)
def test_a_lab_that_makes_no_sense_is_refused(checks: tuple[Check, ...], message: str) -> None:
    rubric = rubric_for({one.id: 1 for one in checks}, {"1a": "a", "2a": "b"})
    with pytest.raises(CourseError, match=message):
        Lab.of("test", rubric, checks)


VALUES: list[Any] = [
    "", " ", "two  blanks", "a\nline", "text", "1", "word", "(", "1a", "1A", None, True, [], ["x"], [1], {},
    {"x": 1}, 0, 1, 2, 2.5, 0.505, -1, 1e9, float("nan"), float("inf"), {"points": 1},
    {"points": 2, "parts": {"x": 1, "y": 1}},
]  # fmt: skip
KEYS = ("parts", "unless", "secret", "by_staff", "other", "do", "answer")
PYDANTIC = TypeAdapter(Rubric)


def places(document: Any) -> list[tuple[Any, Any]]:
    """Every mapping and list in a document, with each of its keys or indexes."""
    if not isinstance(document, dict | list):
        return []
    keys = list(document) if isinstance(document, dict) else list(range(len(document)))
    return [(document, key) for key in keys] + [pair for key in keys for pair in places(document[key])]


@given(st.data())
def test_a_rubric_that_is_taken_at_once_is_read_as_pydantic_reads_it(data: st.DataObject) -> None:
    document = copy.deepcopy(yaml.safe_load(GOOD))
    for _ in range(data.draw(st.integers(0, 2))):
        holder, key = data.draw(st.sampled_from(places(document)))
        change = data.draw(st.sampled_from(["put", "leave out", "add"]))
        value = copy.deepcopy(data.draw(st.sampled_from(VALUES)))
        if change == "leave out":
            del holder[key]
        elif change == "add" and isinstance(holder, dict):
            holder[data.draw(st.sampled_from(KEYS))] = value
        else:
            holder[key] = value
    try:
        taken = decode(Rubric, document)
    except Malformed:
        event("left to pydantic")
        return
    event("taken")
    assert PYDANTIC.validate_python(document) == taken
