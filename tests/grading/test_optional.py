"""Optional checks are information: they pass or are skipped, and no grade depends on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rubrics import lab_of, rubric_for

from labctl.errors import CourseError
from labctl.grading import (
    Check,
    Evidence,
    Judgement,
    Lab,
    See,
    Target,
    check,
    failed,
    judge,
    passed,
    unjudged,
)
from labctl.grading.judge import Result, leave_out_absent
from labctl.probes import Directory, Observed, Request, Unobserved, directory
from labctl.report.grade_console import render_scorecard

VM = Target(name="vm", address="127.0.0.1")
WRONG = failed(expected="this", seen="that", hint="think")


def made(id: str, told: Judgement, *, optional: bool = True, asks: Request[Any] | None = None) -> Check:
    @check(id, question="a", optional=optional)
    def one(_vm: Target, see: See) -> Judgement:
        """A title."""
        if asks:
            see(asks)
        return told

    return one


def judged(one: Check, lost: bool = False) -> Result:
    def fetch(wave: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        value: Any = Unobserved("timeout", "too slow") if lost else Directory(True, (), "")
        return {each.key: Observed(value) for each in wave}

    return judge([one], VM, Evidence(), fetch)[0]


@pytest.mark.parametrize(
    ("told", "verdict"), [(passed("fine"), "pass"), (WRONG, "skip"), (unjudged("who knows"), "skip")]
)
def test_what_is_optional_passes_or_is_skipped_with_what_was_seen(told: Judgement, verdict: str) -> None:
    result = judged(made("a.extra", told))
    assert (result.verdict.value, result.score) == (verdict, 0)
    assert result.judgement.seen == told.seen


def test_what_is_optional_and_cannot_be_observed_leaves_the_grade_complete() -> None:
    result = judged(made("a.extra", passed(), asks=directory("/x")), lost=True)
    assert (result.verdict.value, result.judgement.seen) == ("skip", "timeout: too slow")


def test_a_check_with_points_is_as_strict_as_ever() -> None:
    assert judged(made("a.real", WRONG, optional=False).worth(2)).verdict.value == "fail"


def test_the_rubric_gives_no_points_for_what_is_optional() -> None:
    real, extra = made("a.real", passed(), optional=False), made("a.extra", passed())
    lab = Lab.of("test", rubric_for({"a.real": 2}, {"a": "a"}), (real, extra))
    assert [one.points for one in lab.checks] == [2, 0]
    with pytest.raises(CourseError, match="is optional, and the rubric gives it points"):
        lab_of(real, extra)


def test_the_scorecard_shows_what_was_seen_and_counts_nothing() -> None:
    row = {
        "id": "a.extra", "section": "a", "question": "a", "title": "The algorithm.", "verdict": "pass",
        "score": 0, "max_score": 0, "expected": "", "seen": "leastconn", "hint": "", "layer": None,
    }  # fmt: skip
    host = {
        "host": "vm", "status": "graded", "score": 3, "max_score": 3, "score_so_far": 3, "seconds": 1.0,
        "restored": None, "left_out": [], "checks": [row, {**row, "verdict": "skip", "seen": "not tried"}],
    }  # fmt: skip
    text = render_scorecard({"lab": "x", "title": "X", "sections": {"a": "A"}, "hosts": [host]}, tty=False)
    assert "PASS optional The algorithm." in text
    assert "SKIP optional The algorithm." in text
    assert "leastconn" in text
    assert "not tried" in text
    assert "Everything that was checked is right." in text


def test_what_must_be_alone_is_fetched_alone_and_after_the_rest() -> None:
    waves: list[list[str]] = []

    def fetch(wave: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        waves.append([one.args["path"] for one in wave])
        return {one.key: Observed(Directory(True, (), "")) for one in wave}

    def asking(id: str, path: str, **how: bool) -> Check:
        plain = directory(path)
        request = Request(plain.probe, plain.args, **how)  # type: ignore[arg-type]
        one = made(id, passed(), optional=False, asks=request).worth(1)
        return replace(one, disruptive=request.disruptive)

    checks = [
        asking("a.disrupts", "/d", disruptive=True),
        asking("a.first", "/1", alone=True),
        asking("a.second", "/2", alone=True),
        asking("a.looks", "/l"),
        asking("a.looks-too", "/m"),
    ]
    judge(checks, VM, Evidence(), fetch)
    assert waves == [["/l", "/m"], ["/1"], ["/2"], ["/d"]]


def test_what_is_optional_and_not_there_is_left_out_with_what_was_seen() -> None:
    results = [judged(made("a.extra", WRONG)), judged(made("a.more", passed("fine")))]
    kept, absent = leave_out_absent(results)
    assert [one.check.id for one in kept] == ["a.more"]
    assert absent == (("a.extra", "optional: that"),)
