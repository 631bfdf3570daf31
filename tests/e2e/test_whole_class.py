"""Many VMs at once: each gets the grade that it gets alone, for one login."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Self

import pytest
from counts import LOGIN, journal
from faults import FAULTS, mix
from lab import playbook_in
from machine import Machine
from vms import NAME, labctl

pytestmark = [
    pytest.mark.vm,
    pytest.mark.timeout(900),
    pytest.mark.root,
]

LOOKING = ("--no-disrupt", "--only", "dns", "--only", "lb", "--only", "nfs.package")


@pytest.fixture
def course(tmp_path: Path) -> Path:
    return playbook_in(tmp_path)


@pytest.fixture
def class_of(course: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """As many machines as the test's parameter says, with the lab done on each."""
    with Machine(f"{NAME}-class", students=request.param) as made:
        inventory = str(made.box.inventory_path)
        done = labctl("setup", "students", "-i", inventory, "--playbook", str(course), timeout=3000)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr
        yield made


def grades(inventory: Path, *args: str) -> dict[str, dict[str, Any]]:
    """The documents of the VMs named, by name."""
    done = labctl("grade", *args, "-i", str(inventory), "--json", timeout=3000)
    assert "Traceback" not in done.stderr, done.stderr
    return {host["host"]: host for host in json.loads(done.stdout)["hosts"]}


def verdicts(host: dict[str, Any]) -> dict[str, tuple[str, float | None, str]]:
    return {one["id"]: (one["verdict"], one["score"], one["blocked_by"]) for one in host["checks"]}


def of_one_client(host: dict[str, Any]) -> dict[str, Any]:
    """The verdicts but for the balancer's order, which nobody sees where many ask one at once."""
    return {id: one for id, one in verdicts(host).items() if id not in {"lb.order", "lb.shares"}}


def do_wrong(machine: Machine, name: str, faults: list[str]) -> None:
    for fault in faults:
        done = machine.box.run(name, FAULTS[fault], timeout=300)
        assert done.status == 0, f"{name}: {fault}: {done.stderr}"


class Timed:
    """Seconds that the block takes, and that this machine's processors work meanwhile, for whomever."""

    wall = cpu = 0.0

    def __enter__(self) -> Self:
        self._began, self._worked = time.monotonic(), worked()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall, self.cpu = time.monotonic() - self._began, worked() - self._worked


def worked() -> float:
    """proc(5): the times of all processors together, less the idle ones and those that wait for a disk."""
    ticks = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:8]]
    return (sum(ticks) - ticks[3] - ticks[4]) / os.sysconf("SC_CLK_TCK")


SIZES = [4, pytest.param(50, marks=[pytest.mark.soak, pytest.mark.timeout(7200)])]


@pytest.mark.parametrize("class_of", SIZES, indirect=True)
def test_every_vm_gets_the_grade_that_it_gets_alone(class_of: Machine) -> None:
    inventory = class_of.box.inventory_path
    names = [one.name for one in class_of.box.status().vms if one.name.startswith("student")]
    wrong = {name: mix(number) for number, name in enumerate(names)}
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: do_wrong(class_of, name, wrong[name]), names))
    with Timed() as whole:
        together = grades(inventory, "students")
    alone, cost = {}, {name: Timed() for name in names}
    for name in names:
        with cost[name]:
            alone[name] = grades(inventory, name)[name]
    for name in names:
        assert verdicts(together[name]) == verdicts(alone[name]), f"{name}: {wrong[name]}"
        assert together[name]["score"] == alone[name]["score"]
        assert together[name]["restored"] == alone[name]["restored"]
        assert together[name]["restored"] is not False
        missed = {id for id, (verdict, _, _) in verdicts(together[name]).items() if verdict != "pass"}
        assert set(wrong[name]) <= missed, f"{name}: {set(wrong[name]) - missed} went unseen"
    assert together[names[0]]["restored"], "the experiment ran where nothing is wrong"
    slowest = max(one.wall for one in cost.values())
    floor = whole.cpu / (os.cpu_count() or 1)
    print(f"{len(names)} at once: {whole.wall:.1f} s, the processors' part {floor:.1f} s; ", end="")
    print(f"the slowest alone {slowest:.1f} s, all in turn {sum(one.wall for one in cost.values()):.0f} s")
    if len(names) >= 50:  # a few are over before the machine's other work has evened out
        assert whole.wall <= 1.5 * slowest + floor


MANY = [8, pytest.param(300, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])]


@pytest.mark.parametrize("many", MANY)
@pytest.mark.parametrize("class_of", [1], indirect=True)
def test_each_of_many_addresses_is_graded_for_one_login(class_of: Machine, many: int) -> None:
    class_of.open_wide()
    inventory = class_of.many(many)
    (one,) = grades(class_of.inventory({"student1": class_of.address}), "student1", *LOOKING).values()
    assert one["score"] == one["max_score"]
    before = journal(class_of)
    found = grades(inventory, "students", *LOOKING)
    after = journal(class_of)
    assert len(found) == many
    for host in found.values():
        assert of_one_client(host) == of_one_client(one), host["host"]
        assert (host["connections"], host["tries"]) == (1, [])
    # the second look at the journal came by a login of its own
    assert after[LOGIN] - before[LOGIN] - 1 == many
