"""A right solution graded over and over: never a FAIL, whatever the machine and the link are like.

A run may end in an ERROR on a bad link; then grading it again gives every point.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from link import slow_link
from solved import ONLY, Solved, solved
from vms import Machines

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]

SEED = int(os.environ.get("LABCTL_TEST_SEED") or random.randrange(1 << 32))
LANES = 2
#: How often in the long tests.
GOOD, BAD = (int(os.environ.get("LABCTL_TEST_TRIALS") or count) for count in (50, 30))
LOSS, ROUND_TRIP = 0.2, 0.2
#: Of the runs over the bad link that may end in an ERROR.
ERRORS = 0.05


@pytest.fixture(scope="module")
def labs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Solved]]:
    """Several, because most of a grading is waiting."""
    with solved("alarm", tmp_path_factory.mktemp("course"), LANES) as made:
        yield made


@contextmanager
def both_cores_loaded() -> Iterator[None]:
    burn = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(2)]
    try:
        yield
    finally:
        for one in burn:
            one.kill()
            one.wait()


def failed(host: dict[str, Any]) -> list[str]:
    return [f"{one['id']}: {one['seen']}" for one in host["checks"] if one["verdict"] in ("fail", "skip")]


def in_a_row(labs: list[Solved], count: int) -> list[str]:
    """What ``count`` runs missed, as many one after the other on each machine."""

    def lane(lab: Solved) -> list[str]:
        found = []
        for number in range(count // len(labs)):
            host = lab.grade(*ONLY)
            found.append(str(host["missed"]))
            print(f"{lab.name} {number + 1}: {host['score']} in {host['seconds']} s {found[-1]}", flush=True)
        return found

    with ThreadPoolExecutor(len(labs)) as pool:
        return [one for found in pool.map(lane, labs) for one in found if one]


def over_bad_links(labs: list[Solved], count: int, folder: Path) -> tuple[list[str], int]:
    """The false FAILs of ``count`` runs, and how many ended in an ERROR.

    Each of those is cleared by at most two more runs, or counts as false.
    """
    print(f"LABCTL_TEST_SEED={SEED}", flush=True)

    def lane(lab: Solved) -> tuple[list[str], int]:
        false, errors = [], 0
        own = folder / lab.name
        own.mkdir()
        with slow_link(lab.init, ROUND_TRIP, LOSS, SEED + labs.index(lab)) as address:
            inventory = lab.inventory(address, own)
            for number in range(count // len(labs)):
                host = lab.grade(*ONLY, inventory=inventory)
                print(
                    f"{lab.name} {number + 1}: {host['score']} in {host['seconds']} s {host['missed']}",
                    flush=True,
                )
                false += failed(host)
                errors += host["status"] == "error"
                for _ in range(2):
                    if host["status"] != "error":
                        break
                    host = lab.grade(*ONLY, inventory=inventory)
                    print(f"   again: {host['score']} in {host['seconds']} s {host['missed']}", flush=True)
                    false += failed(host)
                if host["status"] == "error":
                    false.append(f"not cleared: {host['error']}")
        return false, errors

    with ThreadPoolExecutor(len(labs)) as pool:
        found = list(pool.map(lane, labs))
    return [one for false, _ in found for one in false], sum(errors for _, errors in found)


def test_in_a_row(labs: list[Solved]) -> None:
    assert in_a_row(labs, LANES) == []


def test_with_both_cores_loaded(labs: list[Solved]) -> None:
    with both_cores_loaded():
        assert in_a_row(labs, LANES) == []


@pytest.mark.timeout(900)
def test_over_links_that_lose_packets(labs: list[Solved], tmp_path: Path) -> None:
    false, _ = over_bad_links(labs, LANES, tmp_path)
    assert false == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_times_in_a_row(labs: list[Solved]) -> None:
    assert in_a_row(labs, GOOD) == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_times_with_both_cores_loaded(labs: list[Solved]) -> None:
    with both_cores_loaded():
        assert in_a_row(labs, GOOD) == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_many_times_over_links_that_lose_packets(labs: list[Solved], tmp_path: Path) -> None:
    false, errors = over_bad_links(labs, BAD, tmp_path)
    assert false == []
    assert errors <= BAD * ERRORS


@pytest.mark.soak
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("loaded", [False, True], ids=["idle", "loaded"])
def test_the_whole_lab_on_a_vm_many_times_in_a_row(provisioned: Machines, loaded: bool) -> None:
    """With NFS and the firewall, which containers do not have."""
    found = []
    with both_cores_loaded() if loaded else nullcontext():
        for number in range(20):
            host = provisioned.grade()
            whole = host["status"] == "graded" and host["score"] == host["max_score"]
            found.append("" if whole else str(failed(host) or host["error"]))
            print(f"{number + 1}: {host['score']} in {host['seconds']} s {found[-1]}", flush=True)
    assert [one for one in found if one] == []
