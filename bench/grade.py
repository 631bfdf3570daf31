"""How long labctl grade takes: beside its peers and the floor, on one container.

    make bench

Measured as setup.py does. The floor is look.py, which makes the observations of lab 7's read-only checks.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import replace
from pathlib import Path

import peers
from lab import ROOT, playbook_in
from machine import Machine
from measure import Contender, in_turn, ratio, run
from report import Outcome, Say, Scenario, Target, above, below, fan_out_targets, measure

from labctl.batch import DEFAULT_FORKS
from labctl.grading import load_lab

LOOK = peers.HERE / "look.py"
#: What a container can be asked: all but the NFS mounts.
IN_A_CONTAINER = ("dns", "lb", "nfs.package")
READ_ONLY = ("--no-disrupt", *(word for name in IN_A_CONTAINER for word in ("--only", name)))
#: Checks that ask a balancer again, and longer, when others ask it at the same time: the many hosts of one
#: machine share one balancer, and a floor that asks each of them once would not do the same work.
OF_ITS_ORDER = {"lb.shares", "lb.order", "lb.algorithm"}
CRASH = ("--only", "lb.recovered", "--only", "lb.crash-503", "--only", "lb.crash-rotation")
FORKS = 50
HOSTS_FOR_FORKS = 200
SEVERAL = 4
#: Debian's HAProxy looks every 2 s: three failures are DOWN, two successes UP.
HEALTH_CHECKS = 2.0 * (3 + 2)


def undisturbed() -> list[str]:
    """What only looks, and looks the same however many hosts one machine is."""
    checks = load_lab(ROOT / "graders" / "lab7").choose(IN_A_CONTAINER, disrupt=False)
    names = [one.id for one in checks if one.id not in OF_ITS_ORDER]
    return ["--no-disrupt", *(word for name in names for word in ("--only", name))]


def one(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    inventory = machine.inventory({"student1": machine.address})
    database = machine.scratch / "one.sqlite"
    every = [peers.floor(inventory, LOOK), peers.grade(inventory, database, *READ_ONLY)]
    found = in_turn([*every, peers.testinfra(inventory)], rounds, say)
    targets = [below(found, peers.FLOOR, 2.0), above(found, peers.TESTINFRA, 1.0)]
    return [Outcome("Everything that only looks, one VM", peers.FLOOR, found, targets)]


def many(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    machine.open_wide()
    outcomes = []
    for hosts in (50, 200, 500, 2000) if rounds == 1 else (50, 200):
        inventory = machine.many(hosts)
        database = machine.scratch / f"{hosts}.sqlite"
        every = [peers.pool(inventory, FORKS, LOOK)]
        every.append(peers.grade(inventory, database, *undisturbed(), forks=FORKS))
        found = in_turn(every, rounds, say, memory=True)
        title = f"Everything that only looks, {hosts} VMs, {FORKS} at once"
        outcomes.append(Outcome(title, peers.POOL, found, fan_out_targets(found, peers.POOL, hosts), hosts))
    return outcomes


def forks(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    """What more at once brings: hosts a second against memory, as the default wants to be chosen."""
    machine.open_wide()
    inventory = machine.many(HOSTS_FOR_FORKS)
    every = []
    for number in (10, 25, 50, 100, 200):
        one = peers.grade(inventory, machine.scratch / f"forks-{number}.sqlite", *undisturbed(), forks=number)
        name = peers.LABCTL if number == DEFAULT_FORKS else f"{number} at once"
        every.append(replace(one, name=name))
    found = in_turn(every, min(rounds, 3), say, memory=True)
    title = f"{HOSTS_FOR_FORKS} VMs, labctl's own {DEFAULT_FORKS} at once and others"
    return [Outcome(title, peers.LABCTL, found, [], HOSTS_FOR_FORKS)]


def crash(_machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    """One VM's experiment held against its health checks, and several VMs' at once against one's."""
    rounds = min(rounds, 3)
    with Machine("bench-several", SEVERAL) as several:
        set_up(several.box.inventory_path)
        names = [f"student{number}" for number in range(1, SEVERAL + 1)]
        one, together = peers.LABCTL, f"{peers.LABCTL}, {SEVERAL} VMs at once"
        argv = [*peers.grade(several.box.inventory_path, several.scratch / "crash.sqlite", *CRASH).argv]
        every = [
            Contender(one, [*argv, "--limit", "student1", "-o", str(several.scratch / "one.json")]),
            Contender(together, [*argv, "--limit", ",".join(names)]),
        ]
        found = in_turn(every, rounds, say)
        took = _experiment(several.scratch / "one.json")
    targets = [
        Target("one VM's experiment, s", took, HEALTH_CHECKS + 3, at_most=True),
        Target(f"{SEVERAL} VMs / one", ratio(found[together], found[one]), 1.5, at_most=True),
    ]
    return [Outcome("The crash experiment", one, found, targets)]


def _experiment(document: Path) -> float:
    """How many seconds the experiment took on the first VM of a grade's document."""
    host = json.loads(document.read_text())["hosts"][0]
    seen = host["evidence"]["observations"]
    return next(float(seen[name]["seconds"]) for name in seen if name.startswith("crash-"))


def ready(machine: Machine) -> None:
    set_up(machine.inventory({"student1": machine.address}))


def set_up(inventory: Path) -> None:
    """Do the lab on the students' machines."""
    with tempfile.TemporaryDirectory() as course:
        run(peers.labctl(inventory, playbook=playbook_in(Path(course)), group="students"))


SCENARIOS: dict[str, Scenario] = {"one": one, "crash": crash, "many": many, "forks": forks}

if __name__ == "__main__":
    measure(
        __doc__, "lab 7 on one systemd-nspawn container", SCENARIOS, ready, "grade", ("one", "crash", "many")
    )
