"""What is wrong with a check costs nobody a point, no other check its verdict, and never makes a grade."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import CourseError
from labctl.grading import (
    Check,
    Evidence,
    Judgement,
    See,
    Target,
    Verdict,
    check,
    failed,
    grade_host,
    host_document,
    judge,
    load_lab,
    passed,
    plan_for,
    regrade,
)
from labctl.grading.judge import Result
from labctl.inventory import local_host
from labctl.probes import Directory, Observed, Request, StaffLink, Unobserved, directory

VM = Target(name="vm", address="127.0.0.1")
BROKEN = "the check itself is broken: "


def made(body: Callable[[Target, See], Any], **how: Any) -> Check:
    """A check of 3 points, which are those of its parts too."""

    def judged(vm: Target, see: See) -> Any:
        """A title."""
        return body(vm, see)

    parts = how.pop("parts", ())
    one = check(how.pop("id", "a.one"), question="a", parts=parts, **how)(judged)
    return one.worth(3, {part: 3 / len(parts) for part in parts})


def wave_of(lost: Sequence[str] = (), seen: list[str] | None = None) -> Any:
    def fetch(wave: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        found: dict[str, Observed[Any]] = {}
        for one in wave:
            path = one.args["path"]
            if seen is not None:
                seen.append(path)
            gone = path in lost
            found[one.key] = Observed(
                Unobserved("timeout", "too slow") if gone else Directory(True, (path,), "")
            )
        return found

    return fetch


def judged(one: Check, lost: Sequence[str] = ()) -> Result:
    other = made(lambda _vm, _see: passed(), id="a.other")
    result, fine = judge([one, other], VM, Evidence(), wave_of(lost))
    assert (fine.verdict.value, fine.score) == ("pass", 3)
    return result


def _swallows(_vm: Target, see: See) -> Judgement:
    try:
        there = see(directory("/x")).exists
    except Exception:  # noqa: BLE001  as somebody may write it
        there = False
    return passed() if there else failed(expected="it", seen="none", hint="make it")


def _swallows_all(_vm: Target, see: See) -> Judgement:
    try:
        there = see.until(directory("/x"), lambda one: one.exists, within=3).reached
    except:  # noqa: E722  as somebody may write it
        return passed("no error, no fault")
    return passed() if there else failed(expected="it", seen="none", hint="make it")


def _stumbles(_vm: Target, see: See) -> Judgement:
    found: Any = None
    with contextlib.suppress(Exception):
        found = see(directory("/x"))
    return passed(str(found.exists))


@pytest.mark.parametrize("body", [_swallows, _swallows_all, _stumbles])
def test_nothing_is_judged_that_was_not_observed_whatever_the_check_catches(body: Any) -> None:
    assert judged(made(body)).verdict is Verdict.PASS
    lost = judged(made(body), lost=["/x"])
    assert (lost.verdict, lost.judgement.seen, lost.score) == (Verdict.ERROR, "timeout: too slow", 0)
    assert [one.args["path"] for one in lost.used] == ["/x"]


def _says(verdict: Verdict, share: float, **how: Any) -> Any:
    return lambda _vm, _see: Judgement(verdict, share, **how)


def _fails(**how: Any) -> Any:
    return lambda _vm, _see: failed(expected="x", seen="y", hint="z", **how)


@pytest.mark.parametrize(
    "body",
    [
        *[_says(Verdict.FAIL, share) for share in (5.0, -3.0, math.nan, math.inf, 1.0)],
        *[_says(Verdict.PASS, share) for share in (0.0, 0.5, 2.0, math.nan)],
        *[_says(verdict, 0.5) for verdict in (Verdict.SKIP, Verdict.ERROR)],
        _says(Verdict.PASS, 1.0, done=("a",)),
        _says(Verdict.FAIL, 0.5, done=("a",)),
        _fails(done=("a", "a")),
        _fails(done=("a", "b", "c")),
        _fails(done=("d",)),
        _fails(share=0.9999),
        lambda _vm, _see: passed(3),  # type: ignore[arg-type]
        lambda _vm, _see: failed(expected="x", seen="y", hint=None),  # type: ignore[arg-type]
        lambda _vm, _see: None,
        lambda _vm, _see: True,
        lambda _vm, _see: passed,
    ],
)
def test_what_is_no_judgement_gives_no_points_and_takes_none(body: Any) -> None:
    result = judged(made(body, parts=("a", "b", "c")))
    assert (result.verdict, result.score) == (Verdict.ERROR, 0)
    assert result.judgement.seen.startswith(BROKEN)


def test_what_is_meant_by_partial_credit_is_as_before() -> None:
    assert judged(made(_fails(share=5 / 6))).score == 2.5
    assert judged(made(_fails(done=("a", "c")), parts=("a", "b", "c"))).score == 2
    optional = made(_fails(done=("a",)), parts=("a", "b"), optional=True)
    assert judged(replace(optional, points=0.0)).verdict is Verdict.SKIP


def raising(err: BaseException) -> Any:
    def body(_vm: Target, _see: See) -> Judgement:
        raise err

    return body


MISTAKES = (
    AssertionError("no"), RuntimeError("no"), OSError(2, "no"), RecursionError("no"),
    NotImplementedError("no"), StopIteration("no"), re.error("no"), SystemExit(3), MemoryError("no"),
)  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: type(one).__name__)
def test_any_exception_is_one_checks_own(mistake: BaseException) -> None:
    result = judged(made(raising(mistake)))
    assert (result.verdict, result.score) == (Verdict.ERROR, 0)
    assert f"{BROKEN}{type(mistake).__name__}" in result.judgement.seen

    def awaits(_vm: Target, see: See) -> Judgement:
        def holds(_found: Directory) -> bool:
            raise mistake

        see.until(directory("/x"), holds, within=9)
        return passed()

    assert judged(made(awaits)).judgement.seen.startswith(BROKEN)


def test_a_check_that_does_not_say_that_it_disrupts_disrupts_nothing() -> None:
    plain = directory("/x")
    experiment = Request(plain.probe, plain.args, disruptive=True)
    sneaky = made(lambda _vm, see: passed(str(see(experiment))))
    honest = made(lambda _vm, see: passed(str(see(experiment))), id="a.honest", disruptive=True)
    seen: list[str] = []
    (result,) = judge([sneaky], VM, Evidence(), wave_of(seen=seen))
    assert "does not say disruptive=True" in result.judgement.seen
    assert seen == []
    one, two = judge([honest, sneaky], VM, Evidence(), wave_of())
    assert (one.verdict, two.verdict) == (Verdict.PASS, Verdict.ERROR)


TINY = '''\
from pathlib import Path

from labctl.grading import Lab, check, load_rubric, passed


@check("box.fine", question="1")
def fine(vm, see):
    """It is fine."""
    return passed()


@check("box.broken", question="1"APPLIES)
def broken(vm, see):
    """It is broken."""
    BODY


LAB = Lab.of("tiny", load_rubric(Path(__file__).with_name("rubric.yml")), (fine, broken))
'''
RUBRIC = """\
title: Tiny
sections: {box: Box}
questions: [{id: "1", section: box}]
checks: {box.fine: {points: 1}, box.broken: {points: 1}}
"""


@pytest.mark.parametrize(
    ("applies", "body", "said"),
    [
        ("", 'raise RuntimeError("boom")', "RuntimeError: boom (tiny/__init__.py:15)"),
        ("", "assert vm.name == ''", "AssertionError:  (tiny/__init__.py:15)"),
        (
            ", applies=lambda vm: vm.nothing",
            "return passed()",
            "no attribute 'nothing' (tiny/__init__.py:12)",
        ),
        (", applies=lambda vm: 3", "return passed()", "a reason as a text, not 3"),
    ],
)
def test_the_rest_of_the_vm_is_graded_and_graded_again_and_the_line_is_told(
    tmp_path: Path, applies: str, body: str, said: str
) -> None:
    home = tmp_path / "tiny"
    home.mkdir()
    (home / "__init__.py").write_text(TINY.replace("APPLIES", applies).replace("BODY", body))
    (home / "rubric.yml").write_text(RUBRIC)
    lab = load_lab(home)
    graded = grade_host(local_host(), plan_for(lab), StaffLink(None))
    document = host_document("vm", lab, graded)
    for one in (document, regrade(lab, document, document["evidence"])):
        assert [row["verdict"] for row in one["checks"]] == ["pass", "error"]
        assert (one["score"], one["score_so_far"]) == (None, 1)
        assert said in one["checks"][1]["seen"]


def test_a_hint_that_is_no_text_is_refused_with_its_check() -> None:
    with pytest.raises(CourseError, match=r"a\.one: its hint is a text, not 3"):
        made(_fails(), hint=3)
