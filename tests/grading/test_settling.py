"""States that settle: looked at again for as long as a check says, and no longer; what it took is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from labctl.grading import Check, Clock, Evidence, Judgement, See, Target, check, failed, judge, passed
from labctl.grading.judge import Result
from labctl.probes import Directory, Observed, Request, Unobserved, directory
from labctl.report.runs_console import render_evidence

VM = Target(name="vm", address="127.0.0.1")


@dataclass
class Waking:
    """A directory that has its entry after ``ready`` seconds; each look takes ``costs``."""

    ready: float
    costs: float = 0.2
    lost_after: float = 1e9
    now: float = 0.0
    looks: list[tuple[float, list[str]]] = field(default_factory=list)

    def fetch(self, wave: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        self.looks.append((round(self.now, 2), [one.args["path"] for one in wave]))
        entries = ("there",) if self.now >= self.ready else ()
        gone = Unobserved("timeout", "the VM is gone")
        value: Directory | Unobserved = Directory(True, entries, "") if self.now < self.lost_after else gone
        self.sleep(self.costs)
        return {one.key: Observed(value, self.costs) for one in wave}

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def judge(self, *checks: Check, evidence: Evidence | None = None) -> list[Result]:
        return judge(checks, VM, evidence or Evidence(), self.fetch, Clock(lambda: self.now, self.sleep))


def settles(within: float, path: str = "/a", id: str = "a.settles") -> Check:
    @check(id, question="a")
    def made(_vm: Target, see: See) -> Judgement:
        """It is there in time."""
        found = see.until(directory(path), lambda one: "there" in one.entries, within=within)
        if found.reached:
            return passed(str(found))
        return failed(expected="an entry", seen=str(found), hint="wait")

    return made.worth(2)


def test_what_is_so_at_once_is_looked_at_once() -> None:
    world = Waking(ready=0)
    (result,) = world.judge(settles(12))
    assert (result.verdict.value, result.judgement.seen) == ("pass", "at once")
    assert len(world.looks) == 1


def test_a_state_that_settles_in_time_passes_with_the_time_told() -> None:
    world = Waking(ready=4)
    (result,) = world.judge(settles(12))
    assert (result.verdict.value, result.judgement.seen) == ("pass", "after 5 s, 5 looks")


def test_a_state_that_does_not_settle_fails_with_the_time_told() -> None:
    world = Waking(ready=100)
    (result,) = world.judge(settles(12))
    assert result.verdict.value == "fail"
    assert result.judgement.seen.startswith("not within 12 s, ")
    assert 12 <= world.now < 12 + 2 * world.costs


@pytest.mark.parametrize(("ready", "verdict"), [(11.99, "pass"), (14.0, "fail")])
def test_the_last_look_is_when_the_time_is_over(ready: float, verdict: str) -> None:
    (result,) = Waking(ready=ready, costs=0.7).judge(settles(12))
    assert result.verdict.value == verdict


def test_what_cannot_be_seen_any_more_is_an_error_and_not_waited_for() -> None:
    world = Waking(ready=100, lost_after=3)
    (result,) = world.judge(settles(12))
    assert result.verdict.value == "error"
    assert "the VM is gone" in result.judgement.seen
    assert world.now < 5


def test_only_what_has_to_settle_is_looked_at_again() -> None:
    @check("a.plain", question="a")
    def plain(_vm: Target, see: See) -> Judgement:
        """It is there."""
        return passed(",".join(see(directory("/b")).entries))

    world = Waking(ready=2)
    world.judge(plain.worth(1), settles(12))
    assert world.looks[0][1] == ["/b", "/a"]
    assert [paths for _, paths in world.looks[1:]] == [["/a"]] * (len(world.looks) - 1)


def test_several_settle_in_the_same_time() -> None:
    @check("a.both", question="a")
    def both(_vm: Target, see: See) -> Judgement:
        """Both are there."""
        wanted = [(directory(path), lambda one: "there" in one.entries) for path in ("/a", "/b")]
        found = see.all_until(wanted, within=12)
        return passed(", ".join(map(str, found)))

    world = Waking(ready=4)
    (result,) = world.judge(both.worth(1))
    assert result.judgement.seen == "after 5 s, 5 looks, after 5 s, 5 looks"


def test_two_checks_that_await_different_things_of_the_same_wait_for_both() -> None:
    @check("a.never", question="a")
    def never(_vm: Target, see: See) -> Judgement:
        """It is never there."""
        found = see.until(directory("/a"), lambda one: "nowhere" in one.entries, within=12)
        return passed() if found.reached else failed(expected="x", seen=str(found), hint="y")

    results = Waking(ready=4).judge(settles(12), never.worth(1))
    assert [one.verdict.value for one in results] == ["pass", "fail"]
    assert results[1].judgement.seen.startswith("not within 12 s")


def test_a_check_that_asks_later_has_all_of_its_time_too() -> None:
    """Another check was content with the first look at the same, a wave before."""

    @check("a.later", question="a")
    def later(_vm: Target, see: See) -> Judgement:
        """It is there in time, and much is first to be seen."""
        see(directory("/b"))
        found = see.until(directory("/a"), lambda one: "there" in one.entries, within=10)
        return passed(str(found)) if found.reached else failed(expected="x", seen=str(found), hint="y")

    @check("a.content", question="a")
    def content(_vm: Target, see: See) -> Judgement:
        """There is a directory."""
        return passed(str(see.until(directory("/a"), lambda one: one.exists, within=10)))

    evidence = Evidence()
    first, second = Waking(ready=4).judge(content.worth(1), later.worth(1), evidence=evidence)
    assert (first.verdict.value, second.verdict.value) == ("pass", "pass")
    again = judge([content.worth(1), later.worth(1)], VM, Evidence.from_json(evidence.to_json()))
    assert [one.judgement for one in again] == [first.judgement, second.judgement]
    world = Waking(ready=100)
    _, late = world.judge(content.worth(1), later.worth(1))
    assert late.judgement.seen.startswith("not within 10 s")
    assert world.now < 12


def test_a_first_look_is_kept_beside_the_settled_one() -> None:
    @check("a.first", question="a")
    def first(_vm: Target, see: See) -> Judgement:
        """It was not there at first."""
        return passed(str(see(directory("/a")).entries))

    results = Waking(ready=4).judge(first.worth(1), settles(12))
    assert results[0].judgement.seen == "()"
    assert results[1].verdict.value == "pass"


def test_a_condition_that_breaks_is_the_checks_own_fault() -> None:
    @check("a.broken", question="a")
    def broken(_vm: Target, see: See) -> Judgement:
        """It breaks."""
        see.until(directory("/a"), lambda one: one.entries[7] == "x", within=12)
        return passed()

    world = Waking(ready=4)
    (result,) = world.judge(broken.worth(1))
    assert result.verdict.value == "error"
    assert "the check itself is broken" in result.judgement.seen
    assert len(world.looks) == 1


@pytest.mark.parametrize("ready", [4.0, 100.0])
def test_looks_and_seconds_are_in_the_evidence_and_judged_again_the_same(ready: float) -> None:
    evidence = Evidence()
    (before,) = Waking(ready=ready).judge(settles(12), evidence=evidence)
    stored = evidence.to_json()
    (row,) = stored["observations"].values()
    assert row["looks"] > 1
    assert row["waited"] >= min(ready, 12)
    (after,) = judge([settles(12)], VM, Evidence.from_json(stored))
    assert after.judgement == before.judgement


def test_evidence_tells_how_long_it_took() -> None:
    evidence = Evidence()
    Waking(ready=4).judge(settles(12), evidence=evidence)
    text = render_evidence(evidence.to_json())
    assert "settles_within=12" in text
    assert "(0.20 s; look 5, 4.8 s after the first)" in text
    Waking(ready=0).judge(settles(12), evidence=(at_once := Evidence()))
    assert "look" not in render_evidence(at_once.to_json())


def test_what_was_not_waited_for_in_a_stored_run_is_an_error() -> None:
    stored = Evidence()
    Waking(ready=0).judge(settles(5), evidence=stored)
    (result,) = judge([settles(12)], VM, Evidence.from_json(stored.to_json()))
    assert result.verdict.value == "error"
    assert "not in the stored evidence" in result.judgement.seen
