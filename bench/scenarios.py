"""What is measured, and what it is held to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import peers
from link import slow_link
from machine import Machine
from measure import Contender, Sample, in_turn, median, ratio, run

ROUND_TRIP = 0.050
FORKS = 50
Say = Callable[[str], None]
Found = dict[str, list[Sample]]


@dataclass(frozen=True)
class Target:
    """``figure`` is to be at most (or at least) ``bound``."""

    text: str
    figure: float
    bound: float
    at_most: bool

    @property
    def met(self) -> bool:
        return self.figure <= self.bound if self.at_most else self.figure >= self.bound


@dataclass(frozen=True)
class Outcome:
    """A scenario's runs by contender; ``base`` is the one that labctl is held against."""

    title: str
    base: str
    found: Found
    targets: list[Target] = field(default_factory=list)
    hosts: int = 1


def _below(found: Found, base: str, bound: float) -> Target:
    return Target(f"labctl's time / {base}", ratio(found[peers.LABCTL], found[base]), bound, at_most=True)


def _above(found: Found, peer: str, bound: float) -> Target:
    return Target(f"{peer} / labctl", ratio(found[peer], found[peers.LABCTL]), bound, at_most=False)


def start_up(_machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    base = 'python -c "import click"'
    every = [
        Contender(base, [sys.executable, "-c", "import click"]),
        Contender(peers.LABCTL, [sys.executable, "-m", "labctl", "--help"]),
    ]
    found = in_turn(every, max(rounds, 2) * 3, say)
    return [Outcome("labctl --help", base, found, [_below(found, base, 2.0)])]


def no_op(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    inventory = machine.inventory({"student1": machine.address})
    every = [peers.floor(inventory), peers.labctl(inventory), peers.pyinfra(inventory)]
    every += [peers.ansible(inventory, name) for name in (peers.MITOGEN, peers.TUNED, peers.PLAIN)]
    found = in_turn(every, rounds, say)
    targets = [_below(found, peers.FLOOR, 2.0), _above(found, peers.TUNED, 15.0)]
    targets += [_above(found, peers.MITOGEN, 6.0), _above(found, peers.PYINFRA, 5.0)]
    return [Outcome("Nothing to change, one host", peers.FLOOR, found, targets)]


def slow(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    with slow_link(machine.pid, ROUND_TRIP) as address:
        inventory = machine.inventory({"student1": address})
        every = [peers.floor(inventory), peers.labctl(inventory), peers.pyinfra(inventory)]
        every += [peers.ansible(inventory, name) for name in (peers.MITOGEN, peers.TUNED)]
        found = in_turn(every, rounds, say)
    targets = [_below(found, peers.FLOOR, 1.5), _above(found, peers.TUNED, 25.0)]
    title = f"Nothing to change, over a link of {ROUND_TRIP * 1000:.0f} ms"
    return [Outcome(title, peers.FLOOR, found, targets)]


def fan_out(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    machine.open_wide()
    outcomes = []
    for hosts in (50, 200):
        inventory = machine.many(hosts)
        every = [peers.pool(inventory, FORKS), peers.labctl(inventory, FORKS)]
        if hosts == 50:  # with more it takes longer than all the rest
            every.append(peers.ansible(inventory, peers.TUNED, FORKS, rounds=1))
        found = in_turn(every, rounds, say, memory=True)
        targets = [_below(found, peers.POOL, 1 / 0.8)]
        if peers.TUNED in found:
            targets.append(_above(found, peers.TUNED, 4.0))
        cpu = median(found[peers.LABCTL], "cpu") * 1000 / hosts
        memory = max(one.memory for one in found[peers.LABCTL]) / hosts
        targets.append(Target("labctl's CPU, ms a host", cpu, 15.0, at_most=True))
        targets.append(Target("labctl's memory, MB a host", memory, 1.5, at_most=True))
        title = f"Nothing to change, {hosts} hosts, {FORKS} at once"
        outcomes.append(Outcome(title, peers.POOL, found, targets, hosts))
    return outcomes


def first(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    inventory = machine.box.inventory_path
    machine.fresh()
    every = [peers.script(inventory), _only(peers.labctl(inventory)), peers.pyinfra(inventory)]
    every += [_only(peers.ansible(inventory, name)) for name in (peers.MITOGEN, peers.TUNED)]
    found = in_turn(every, rounds, say, before_each=machine.fresh)
    targets = [_below(found, peers.SCRIPT, 1.25)]
    targets += [_above(found, name, 1.0) for name in (peers.PYINFRA, peers.MITOGEN, peers.TUNED)]
    return [Outcome("First run, one fresh host", peers.SCRIPT, found, targets)]


def _only(one: Contender) -> Contender:
    """The sandbox's own inventory has a staff machine beside."""
    return Contender(one.name, [*one.argv, "--limit", "student1"], one.environment)


def ready(machine: Machine) -> None:
    """Make the changes, so that the runs after it find nothing to do."""
    run(peers.labctl(machine.inventory({"student1": machine.address})))


SCENARIOS: dict[str, Callable[[Machine, int, Say], list[Outcome]]] = {
    "start-up": start_up,
    "no-op": no_op,
    "slow-link": slow,
    "fan-out": fan_out,
    "first-run": first,
}
