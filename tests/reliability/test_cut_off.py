"""The crash experiment cut off at a random moment: the workers come back as they were, and nothing is judged.

The seed of the moments is printed; LABCTL_TEST_SEED=... tries the same ones again.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from cuts import (
    CUTS,
    HOWS,
    Outcome,
    Trial,
    attempt,
    begin,
    kill_agent,
    listening,
    random_trials,
    undisturbed,
)
from solved import Solved, solved
from waiting import comes

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]

SEED = int(os.environ.get("LABCTL_TEST_SEED") or random.randrange(1 << 32))
LANES = 3
TRIALS = int(os.environ.get("LABCTL_TEST_TRIALS") or 45)


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Solved]]:
    with solved("cut", tmp_path_factory.mktemp("course"), LANES) as made:
        yield made


@pytest.fixture(scope="module")
def timing(labs: list[Solved]) -> tuple[float, float]:
    return undisturbed(labs[0])


def in_lanes(labs: list[Solved], trials: list[Trial], first: float) -> list[tuple[Trial, Outcome]]:
    """All trials, one at a time on each machine, told as they end."""
    ended = itertools.count(1)

    def lane(number: int) -> list[tuple[Trial, Outcome]]:
        found = []
        for trial in trials[number :: len(labs)]:
            outcome = attempt(labs[number], trial, first)
            armed = "in the experiment" if outcome.armed else "outside it"
            told = f"{next(ended)} of {len(trials)}: {trial}, {armed}: {outcome.down} down"
            print(f"{told}, back after {outcome.seconds} s", *outcome.problems, flush=True)
            found.append((trial, outcome))
        return found

    print(f"LABCTL_TEST_SEED={SEED}")
    with ThreadPoolExecutor(len(labs)) as pool:
        return [one for found in pool.map(lane, range(len(labs))) for one in found]


def broken(found: list[tuple[Trial, Outcome]]) -> list[str]:
    return [f"{trial}: {'; '.join(outcome.problems)}" for trial, outcome in found if outcome.problems]


@pytest.mark.timeout(600)
def test_each_way_of_ending_a_run_leaves_the_workers_as_they_were(
    labs: list[Solved], timing: tuple[float, float]
) -> None:
    first, longest = timing
    # each way of running in turn, one before the experiment and the others while workers are away; the soak
    # takes all of it together by chance
    kinds = [(HOWS[n % 3], cut) for n, cut in enumerate(CUTS)]
    dice = random.Random(SEED)
    trials = [Trial(*kind, dice.uniform(0.0, longest / 2)) for kind in kinds]
    trials[0] = replace(trials[0], moment=-1.0)
    found = in_lanes(labs, trials, first)
    assert not broken(found)
    assert any(outcome.down for _, outcome in found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_at_many_random_moments(labs: list[Solved], timing: tuple[float, float]) -> None:
    first, longest = timing
    found = in_lanes(labs, random_trials(SEED, TRIALS, longest), first)
    armed = sum(outcome.armed for _, outcome in found)
    away = sum(outcome.down > 0 for _, outcome in found)
    slowest = max(outcome.seconds for _, outcome in found)
    print(f"{len(found) - len(broken(found))} of {len(found)}, slowest {slowest} s; ", end="")
    print(f"{armed} in the experiment, {away} with workers down")
    assert not broken(found)
    assert len(found) == TRIALS


def test_a_run_begun_in_the_middle_of_another_waits_for_its_undo(
    labs: list[Solved], timing: tuple[float, float], tmp_path: Path
) -> None:
    """Whoever grades again at once after labctl was killed: what the first run broke is no fault."""
    lab = labs[0]
    lab.workers("tmux")
    first = begin(lab)
    try:
        assert comes(lambda: listening(lab.init) == 0, timing[0] + timing[1] + 30)
        # it lives and says no more: the undo waits for its lease
        first.send_signal(signal.SIGSTOP)
        # another who grades, with results of their own: nothing but the VM tells that somebody is at it
        database = f"sqlite:///{tmp_path}/others.sqlite"
        host = lab.grade("--only", "lb", "--no-disrupt", "--database", database)
    finally:
        first.kill()
        first.communicate()
    assert host["missed"] == ""
    assert listening(lab.init) == 6


def test_the_run_keeps_how_the_workers_ran_before_and_after(
    labs: list[Solved], timing: tuple[float, float]
) -> None:
    """Also of an experiment that was broken off: that the VM is whole is evidence, and no claim."""
    lab = labs[0]
    lab.workers("nohup")
    grade = begin(lab)
    assert comes(lambda: listening(lab.init) < 6, timing[0] + 60)
    kill_agent(lab, grade)
    out, _ = grade.communicate(timeout=200)
    (host,) = json.loads(out)["hosts"]
    (report,) = (
        one["value"] for name, one in host["evidence"]["observations"].items() if name.startswith("crash-")
    )
    assert report["broken_off"]
    assert report["before"] == report["after"]
    assert len(report["before"][0]["ports"]) == 6
    assert host["restored"] is True
    assert {one["verdict"] for one in host["checks"]} == {"pass", "error"}
