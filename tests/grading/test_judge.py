"""The judge: waves, prerequisites, errors, stored runs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import count
from typing import Any

import pytest
from rubrics import lab_of

from labctl.errors import CourseError
from labctl.grading import (
    Check,
    Evidence,
    Judgement,
    See,
    Target,
    check,
    failed,
    judge,
    passed,
    unjudged,
)
from labctl.grading import evidence as formats
from labctl.probes import (
    Directory,
    DnsAnswer,
    Observed,
    Packages,
    Request,
    Unobserved,
    directory,
    dns_query,
    packages,
)

VM = Target(name="vm", address="127.0.0.1")


class Source:
    """Answers every request with a directory that holds its path; counts the waves."""

    def __init__(self, lost: Sequence[str] = ()) -> None:
        self.waves: list[list[str]] = []
        self.lost = lost

    def __call__(self, wave: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        self.waves.append([one.args["path"] for one in wave])
        found: dict[str, Observed[Any]] = {}
        for one in wave:
            path = one.args["path"]
            if path == "nothing":
                continue
            gone = Unobserved("timeout", "too slow")
            found[one.key] = Observed(gone if path in self.lost else Directory(True, (path,), ""), 0.5)
        return found


def make(
    id: str,
    *paths: str,
    after: tuple[str, ...] = (),
    verdict: Judgement | None = None,
    disruptive: bool = False,
) -> Check:
    """A check that asks for one path after the other, each in a wave of its own; those with "!" disrupt."""
    disruptive = disruptive or any(path.startswith("!") for path in paths)

    @check(id, question=id.partition(".")[0], after=after, disruptive=disruptive)
    def made(_vm: Target, see: See) -> Judgement:
        """It is as it should be."""
        for path in paths:
            request = directory(path)
            if path.startswith("!"):
                request = Request(request.probe, request.args, disruptive=True)
            see(request)
        return verdict or passed()

    return made.worth(2)


WRONG = failed(expected="this", seen="that", hint="think")


def verdicts(checks: Sequence[Check], source: Source | None = None) -> dict[str, str]:
    return {one.check.id: one.verdict.value for one in judge(checks, VM, Evidence(), source or Source())}


def test_requests_of_all_checks_make_one_wave_each_once() -> None:
    source = Source()
    checks = [make("a.one", "x"), make("a.two", "x"), make("a.three", "y")]
    assert set(verdicts(checks, source).values()) == {"pass"}
    assert source.waves == [["x", "y"]]


def test_a_request_that_follows_from_an_answer_is_a_second_wave() -> None:
    source = Source()
    verdicts([make("a.one", "x", "z"), make("a.two", "y")], source)
    assert source.waves == [["x", "y"], ["z"]]


def test_what_several_requests_ask_at_once_is_one_wave() -> None:
    @check("a.both", question="1")
    def both(_vm: Target, see: See) -> Judgement:
        """Both."""
        one, two = see(directory("x"), directory("y"))
        return passed(f"{one.entries[0]}{two.entries[0]}")

    source = Source()
    (result,) = judge([both], VM, Evidence(), source)
    assert result.judgement.seen == "xy"
    assert source.waves == [["x", "y"]]


def test_a_failure_skips_what_comes_after_and_names_the_first_cause() -> None:
    checks = [
        make("a.one", verdict=WRONG),
        make("a.two", after=("a.one",)),
        make("a.three", after=("a.two",)),
        make("a.four"),
    ]
    results = {one.check.id: one for one in judge(checks, VM, Evidence(), Source())}
    assert {key: one.verdict.value for key, one in results.items()} == {
        "a.one": "fail", "a.two": "skip", "a.three": "skip", "a.four": "pass",
    }  # fmt: skip
    assert results["a.three"].blocked_by == "a.one"
    assert "a.one" in results["a.three"].judgement.hint


def test_after_an_error_there_is_no_failure_and_no_skip() -> None:
    checks = [make("a.one", "x"), make("a.two", after=("a.one",), verdict=WRONG)]
    assert verdicts(checks, Source(lost=["x"])) == {"a.one": "error", "a.two": "error"}


def test_a_failure_counts_more_than_an_error_before() -> None:
    checks = [make("a.one", "x"), make("a.two", verdict=WRONG), make("a.three", after=("a.one", "a.two"))]
    assert verdicts(checks, Source(lost=["x"]))["a.three"] == "skip"


def test_an_observation_that_does_not_come_back_is_an_error() -> None:
    assert verdicts([make("a.one", "nothing")]) == {"a.one": "error"}


def test_a_broken_check_is_an_error_of_its_own() -> None:
    @check("a.broken", question="1")
    def broken(_vm: Target, see: See) -> Judgement:
        """It divides by zero."""
        return passed(str(1 / len(see(directory("x")).error)))

    assert verdicts([broken, make("a.fine")]) == {"a.broken": "error", "a.fine": "pass"}


def test_checks_that_ask_without_end_are_stopped() -> None:
    @check("a.endless", question="1")
    def endless(_vm: Target, see: See) -> Judgement:
        """It always wants more."""
        for number in range(1000):
            see(directory(str(number)))
        return passed()

    source = Source()
    assert verdicts([endless], source) == {"a.endless": "error"}
    assert len(source.waves) == 12


def test_nor_do_they_ask_a_stored_run_without_end() -> None:
    @check("a.endless", question="1")
    def endless(_vm: Target, see: See) -> Judgement:
        """It takes no for an answer."""
        for number in count():
            see.attempt(directory(str(number)))
        return passed()

    (result,) = judge([endless], VM, Evidence())
    assert "after 12 waves" in result.judgement.seen


def test_one_check_that_asks_without_end_ends_no_other() -> None:
    source = Source()
    checks = [
        make("a.endless", *map(str, range(1000))),
        make("a.after", after=("a.endless",)),
        make("a.late", *(f"x{number}" for number in range(12)), "!break"),
        make("a.last", "!smash"),
    ]
    assert verdicts(checks, source) == {
        "a.endless": "error", "a.after": "error", "a.late": "error", "a.last": "pass",
    }  # fmt: skip
    assert verdicts([checks[0], make("a.late", *map(str, range(11)), "!break")])["a.late"] == "pass"


def test_what_disrupts_comes_last_and_alone() -> None:
    source = Source()
    checks = [make("a.one", "!break"), make("a.two", "!smash"), make("a.three", "x", "y")]
    verdicts(checks, source)
    assert source.waves == [["x"], ["y"], ["!break"], ["!smash"]]


@pytest.mark.parametrize("first", [WRONG, unjudged("?")], ids=["failed", "error"])
def test_nothing_is_disrupted_for_a_check_that_cannot_count(first: Judgement) -> None:
    source = Source()
    verdicts([make("a.one", "x", verdict=first), make("a.two", "!break", after=("a.one",))], source)
    assert source.waves == [["x"]]


def test_a_stored_run_is_judged_the_same_without_a_vm() -> None:
    checks = [make("a.one", "x", "z"), make("a.two", "y"), make("a.three", "lost")]
    evidence = Evidence()
    before = judge(checks, VM, evidence, Source(lost=["lost"]))
    stored = Evidence.from_json(json.loads(json.dumps(evidence.to_json())))
    after = judge(checks, VM, stored)
    assert [(one.check.id, one.judgement, one.score) for one in after] == [
        (one.check.id, one.judgement, one.score) for one in before
    ]


def test_a_new_check_over_a_stored_run_says_what_is_missing() -> None:
    evidence = Evidence()
    judge([make("a.one", "x")], VM, evidence, Source())
    stored = Evidence.from_json(evidence.to_json())
    (result,) = judge([make("a.new", "never-asked")], VM, stored)
    assert result.verdict.value == "error"
    assert "not in the stored evidence" in result.judgement.seen


def test_stored_evidence_that_was_tampered_with_is_an_error() -> None:
    evidence = Evidence()
    judge([make("a.one", "x")], VM, evidence, Source())
    data = evidence.to_json()
    next(iter(data["observations"].values()))["value"] = {"exists": "yes"}
    (result,) = judge([make("a.one", "x")], VM, Evidence.from_json(data))
    assert result.verdict.value == "error"
    assert "cannot be read" in result.judgement.seen


def test_a_query_is_found_in_a_run_that_wrote_its_name_without_the_dot() -> None:
    asked, answer = dns_query("a.example.com", "A"), DnsAnswer("timeout", "", False, False, (), (), 3.0)
    evidence = Evidence()
    evidence.add(asked, Observed(answer))
    data = evidence.to_json()
    (row,) = data["observations"].values()
    row["key"] = row["key"].replace("a.example.com.", "a.example.com")
    found = Evidence.from_json(data).get(dns_query("a.example.com.", "A"))
    assert found == Observed(answer)


@pytest.mark.parametrize("format", [99, 0, None, "1"])
def test_a_format_of_evidence_that_is_not_known_is_refused(format: object) -> None:
    with pytest.raises(ValueError, match=f"format {format}; this version reads 1 to"):
        Evidence.from_json({"format": format, "observations": {}})


def test_an_older_format_is_judged_but_for_what_means_something_else_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def installed(_vm: Target, see: See) -> Judgement:
        return passed(str(see(packages("x"))))

    evidence = Evidence()
    evidence.add(packages("x"), Observed(Packages(())))
    checks = [make("a.one", "x"), Check("a.two", "1a", "A title.", installed).worth(2.0)]
    judge(checks, VM, evidence, Source())
    old = evidence.to_json()
    assert {one.verdict.value for one in judge(checks, VM, Evidence.from_json(old))} == {"pass"}
    changed = (*formats.CHANGED, frozenset({"packages"}))
    monkeypatch.setattr(formats, "CHANGED", changed)
    monkeypatch.setattr(formats, "FORMAT", 1 + len(changed))
    one, two = judge(checks, VM, Evidence.from_json(old))
    assert (one.verdict.value, two.verdict.value) == ("pass", "error")
    assert "packages (vm) is not in the stored evidence" in two.judgement.seen


def test_partial_credit() -> None:
    half = failed(expected="two", seen="one", hint="one more", share=0.5)
    (result,) = judge([make("a.one", verdict=half)], VM, Evidence(), Source())
    assert (result.verdict.value, result.score) == ("fail", 1.0)
    with pytest.raises(ValueError, match="below 1"):
        failed(expected="", seen="", hint="", share=1.0)


def test_the_same_question_has_the_same_key_and_id() -> None:
    assert packages("a", "b").key == packages("b", "a").key
    assert packages("a").id == packages("a").id
    assert packages("a").key != packages("b").key
    assert directory("/x").key != directory("/x", on="staff").key


def test_choosing() -> None:
    made = lab_of(
        make("a.one"), make("a.two", after=("a.one",)), make("a.wild", after=("a.two",), disruptive=True)
    )
    assert [one.id for one in made.choose(["a.wild"])] == ["a.one", "a.two", "a.wild"]
    assert [one.id for one in made.choose(["a.two"])] == ["a.one", "a.two"]
    assert [one.id for one in made.choose(["a"], disrupt=False)] == ["a.one", "a.two"]
    with pytest.raises(CourseError) as caught:
        made.choose(["a.tow"])
    assert "a.two" in caught.value.hint


def test_a_check_without_a_title_or_an_id_is_refused() -> None:
    def nameless(_vm: Target, _see: See) -> Judgement:
        return passed()

    with pytest.raises(CourseError, match="docstring"):
        check("a.one", question="1")(nameless)
    nameless.__doc__ = "It is fine."
    with pytest.raises(CourseError, match="looks like"):
        check("One", question="1")(nameless)


def test_one_disruption_decides_whether_the_next_is_begun() -> None:
    source = Source()
    first = make("a.one", "!break", verdict=WRONG, disruptive=True)
    verdicts([first, make("a.two", "!smash", after=("a.one",), disruptive=True)], source)
    assert source.waves == [["!break"]]
