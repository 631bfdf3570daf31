"""Layers: what a failure comes from, where a section is broken first, and partial credit for parts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import pytest
from graded import document
from lab7_cases import CASES
from rubrics import lab_of, rubric_for
from world import LAB, World

from labctl.errors import CourseError
from labctl.grading import (
    LAYERS,
    Broken,
    Check,
    Evidence,
    Judgement,
    Lab,
    Layer,
    Result,
    See,
    Target,
    Weight,
    check,
    failed,
    first_broken,
    judge,
    passed,
    unjudged,
)
from labctl.report.grade_console import render_scorecard

WRONG = failed(expected="this", seen="that", hint="think")


def make(
    id: str,
    layer: Layer | None,
    judgement: Judgement | None = None,
    *,
    after: tuple[str, ...] = (),
    explained_by: tuple[str, ...] = (),
    parts: tuple[str, ...] = (),
) -> Check:
    @check(id, question="1", layer=layer, after=after, explained_by=explained_by, parts=parts)
    def made(_vm: Target, _see: See) -> Judgement:
        """It is as it should be."""
        return judgement or passed()

    return made


def judged(*checks: Check) -> dict[str, Result]:
    vm = Target(name="vm", address="127.0.0.1")
    return {one.check.id: one for one in judge(lab_of(*checks).checks, vm, Evidence())}


def test_a_skip_names_the_lowest_layer_that_is_broken_and_its_check() -> None:
    found = judged(
        make("a.page", "answer on the VM", WRONG),
        make("a.package", "package", WRONG),
        make("a.unit", "unit", after=("a.package",)),
        make("a.outside", "answer from outside", after=("a.page", "a.unit")),
    )
    assert (found["a.outside"].verdict.value, found["a.outside"].blocked_by) == ("skip", "a.package")
    assert "a.package (package)" in found["a.outside"].judgement.seen
    assert "a.package (package)" in found["a.outside"].judgement.hint


def test_a_failure_that_another_explains_is_still_a_failure_and_passes_the_cause_on() -> None:
    found = judged(
        make("a.unit", "unit", WRONG),
        make("a.page", "answer on the VM", WRONG, explained_by=("a.unit",)),
        make("a.more", "answer on the VM", after=("a.page",)),
    )
    assert {key: (one.verdict.value, one.blocked_by) for key, one in found.items()} == {
        "a.unit": ("fail", ""), "a.page": ("fail", "a.unit"), "a.more": ("skip", "a.unit"),
    }  # fmt: skip


def test_what_passes_is_explained_by_nothing_and_explains_nothing() -> None:
    right = judged(
        make("a.unit", "unit", WRONG), make("a.page", "answer on the VM", explained_by=("a.unit",))
    )
    assert (right["a.page"].verdict.value, right["a.page"].blocked_by) == ("pass", "")
    alone = judged(
        make("a.unit", "unit"), make("a.page", "answer on the VM", WRONG, explained_by=("a.unit",))
    )
    assert (alone["a.page"].verdict.value, alone["a.page"].blocked_by) == ("fail", "")


def test_an_error_names_what_could_not_be_judged_first() -> None:
    found = judged(
        make("a.unit", "unit", unjudged("?")),
        make("a.page", "answer on the VM", after=("a.unit",)),
        make("a.outside", "answer from outside", after=("a.page",)),
    )
    assert found["a.outside"].blocked_by == "a.unit"
    assert "a.unit could not be judged" in found["a.outside"].judgement.seen


def test_prerequisites_point_down_and_layers_have_names() -> None:
    page = make("a.page", "answer on the VM")
    for wrong in (
        make("a.unit", "unit", after=("a.page",)),
        make("a.unit", "unit", explained_by=("a.page",)),
    ):
        with pytest.raises(CourseError, match="a higher layer"):
            lab_of(page, wrong)
    with pytest.raises(CourseError, match=r"explained by a\.none, which does not exist"):
        lab_of(make("a.unit", "unit", explained_by=("a.none",)))
    with pytest.raises(CourseError, match="no layer 'kernel'"):
        make("a.kernel", "kernel")  # type: ignore[arg-type]


def weighed(parts: Mapping[str, float], made: Check) -> Lab:
    rubric = rubric_for({}, {"1": "a"})
    weight = Weight(points=2, parts=dict(parts))
    return Lab.of("test", replace(rubric, checks={made.id: weight}), (made,))


def test_a_part_that_is_done_has_the_points_that_the_rubric_gives_it() -> None:
    half = failed(expected="", seen="", hint="", done=("one",))
    lab = weighed({"one": 0.5, "two": 1.5}, make("a.parts", None, half, parts=("one", "two")))
    (result,) = judge(lab.checks, Target(name="vm", address=""), Evidence())
    assert (result.verdict.value, result.score) == ("fail", 0.5)
    (whole,) = judge(
        weighed({"one": 0.5, "two": 1.5}, make("a.parts", None, parts=("one", "two"))).checks,
        Target(name="vm", address=""),
        Evidence(),
    )
    assert (whole.verdict.value, whole.score) == ("pass", 2)
    with pytest.raises(ValueError, match="not both"):
        failed(expected="", seen="", hint="", share=0.5, done=("one",))


def test_a_part_that_the_check_does_not_have_costs_nobody_a_point() -> None:
    lab = weighed(
        {"one": 2}, make("a.parts", None, failed(expected="", seen="", hint="", done=("x",)), parts=("one",))
    )
    (result,) = judge(lab.checks, Target(name="vm", address=""), Evidence())
    assert result.verdict.value == "error"
    assert "broken" in result.judgement.seen


@pytest.mark.parametrize(
    ("parts", "declared", "said", "hint"),
    [
        ({"one": 1.0, "tow": 1.0}, ("one", "two"), "'tow' of a.parts is only in the rubric", "two"),
        ({"one": 2.0}, ("one", "two"), "'two' of a.parts is only in the check", "rubric.yml and @check"),
        ({"one": 2.0}, (), "'one' of a.parts is only in the rubric", "rubric.yml and @check"),
    ],
)
def test_parts_are_the_same_in_the_rubric_and_in_the_check(
    parts: dict[str, float], declared: tuple[str, ...], said: str, hint: str
) -> None:
    with pytest.raises(CourseError) as caught:
        weighed(parts, make("a.parts", None, parts=declared))
    assert said in caught.value.message
    assert hint in caught.value.hint


def test_the_first_broken_layer_of_a_section_comes_from_the_document_alone() -> None:
    def row(id: str, layer: str | None, verdict: str) -> dict[str, object]:
        return {"id": id, "section": id.partition(".")[0], "layer": layer, "verdict": verdict}

    rows = [
        row("a.page", "answer on the VM", "fail"),
        row("a.unit", "unit", "fail"),
        row("a.boot", "unit", "fail"),
        row("a.config", "config", "error"),
        row("a.package", "package", "pass"),
        row("a.word", None, "fail"),
        row("b.x", "package", "fail"),
    ]
    assert first_broken(rows, "a") == Broken("unit", "a.unit")
    assert first_broken(rows, "c") is None
    # a run that was kept before there were layers
    assert first_broken([{"id": "a.x", "section": "a", "verdict": "fail"}], "a") is None


def test_every_check_of_lab_7_has_its_layer() -> None:
    layers = {one.layer for one in LAB.checks if not one.id.startswith("answer.")}
    assert layers == set(LAYERS)


def test_a_stopped_name_server_is_the_first_thing_named_wherever_it_shows() -> None:
    world = World()
    next(case for case in CASES if case.name == "named-stopped").breaks(world)
    host = document(world=world)
    rows = {one["id"]: one for one in host["checks"]}
    assert (rows["dns.active"]["verdict"], rows["dns.active"]["blocked_by"]) == ("fail", None)
    lost = [one for one in host["checks"] if one["section"] == "dns" and one["verdict"] != "pass"]
    assert len(lost) > 5
    assert {one["blocked_by"] for one in lost if one["id"] != "dns.active"} == {"dns.active"}
    assert first_broken(host["checks"], "dns") == Broken("unit", "dns.active")
    assert first_broken(host["checks"], "nfs") is None
    assert host["first_broken"] == {"dns": {"layer": "unit", "check": "dns.active"}}
    text = render_scorecard({"lab": "lab7", "sections": dict(LAB.sections), "hosts": [host]})
    assert re.search(r"^DNS  \d+/22  begin with: unit \(dns\.active\)$", text, re.MULTILINE)
    assert re.search(r"^NFS  12/12$", text, re.MULTILINE)
    assert "first see to dns.active (unit)" in text  # a skip's hint
    assert "first    see to dns.active (unit)" in text  # under the failure that comes of it
