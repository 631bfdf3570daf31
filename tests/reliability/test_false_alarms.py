"""A right solution graded over and over: never a FAIL, whatever the machine and the link are like.

A run may end in an ERROR on a bad link; then grading it again gives every point.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
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
GOOD, BAD, WHOLE = (int(os.environ.get("LABCTL_TEST_TRIALS") or count) for count in (50, 30, 20))
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


@dataclass
class Tally:
    """What came of ``count`` runs, told as each of them ends: one that is cut short has said what it saw."""

    count: int
    hosts: list[dict[str, Any]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, name: str, host: dict[str, Any], again: int = 0) -> None:
        with self.lock:
            self.hosts += [] if again else [host]
            which = f"again ({again})" if again else f"{len(self.hosts)} of {self.count}"
            print(
                f"{which}, {name}: {host['score']} in {host['seconds']} s", *host["tries"], host["missed"],
                flush=True,
            )  # fmt: skip
            if len(self.hosts) == self.count and not again:
                print(self, flush=True)

    @property
    def errors(self) -> int:
        return sum(host["status"] == "error" for host in self.hosts)

    def __str__(self) -> str:
        seconds = sorted(host["seconds"] or 0.0 for host in self.hosts)
        false = sum(bool(failed(host)) for host in self.hosts)
        return (
            f"{len(self.hosts)} runs: {sum(not host['missed'] for host in self.hosts)} with every point, "
            f"{self.errors} ERROR, {false} FAIL; {seconds[len(seconds) // 2]} s, at most {seconds[-1]} s"
        )


def in_a_row(labs: list[Solved], count: int) -> list[str]:
    """What ``count`` runs missed, as many one after the other on each machine."""
    tally = Tally(count)

    def lane(lab: Solved) -> None:
        for _ in range(count // len(labs)):
            tally.add(lab.name, lab.grade(*ONLY))

    with ThreadPoolExecutor(len(labs)) as pool:
        list(pool.map(lane, labs))
    assert len(tally.hosts) == count
    return [host["missed"] for host in tally.hosts if host["missed"]]


def over_bad_links(labs: list[Solved], count: int, folder: Path) -> tuple[list[str], int]:
    """The false FAILs of ``count`` runs, and how many ended in an ERROR.

    Each of those is cleared by at most two more runs, or counts as false.
    """
    print(f"LABCTL_TEST_SEED={SEED}", flush=True)
    tally = Tally(count)

    def lane(lab: Solved) -> list[str]:
        false: list[str] = []
        own = folder / lab.name
        own.mkdir()

        def grade(again: int = 0) -> dict[str, Any]:
            host = lab.grade(*ONLY, inventory=inventory)
            tally.add(lab.name, host, again)
            if host["missed"]:
                # with its evidence: what it was that took so long
                kept = own / f"{len(false)}-{len(tally.hosts)}-{again}.json"
                kept.write_text(json.dumps(host), encoding="utf-8")
                print(f"   {kept}", flush=True)
            false.extend(failed(host))
            return host

        with slow_link(lab.init, ROUND_TRIP, LOSS, SEED + labs.index(lab)) as address:
            inventory = lab.inventory(address, own)
            for _ in range(count // len(labs)):
                host = grade()
                for again in (1, 2):
                    if host["status"] != "error":
                        break
                    host = grade(again)
                if host["status"] == "error":
                    false.append(f"not cleared: {host['error']}")
        return false

    with ThreadPoolExecutor(len(labs)) as pool:
        found = [one for false in pool.map(lane, labs) for one in false]
    assert len(tally.hosts) == count
    return found, tally.errors


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
    tally = Tally(WHOLE)
    with both_cores_loaded() if loaded else nullcontext():
        for _ in range(WHOLE):
            host = provisioned.grade()
            whole = host["status"] == "graded" and host["score"] == host["max_score"]
            missed = "" if whole else str(failed(host) or host["error"])
            tally.add("the VM", {**host, "missed": missed})
    assert [host["missed"] for host in tally.hosts if host["missed"]] == []
