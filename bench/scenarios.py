"""What is measured, and what it is held to."""

from __future__ import annotations

import sys

import peers
from link import slow_link
from machine import Machine
from measure import Contender, in_turn, run
from report import Outcome, Say, Scenario, above, below, fan_out_targets

ROUND_TRIP = 0.050
FORKS = 50


def start_up(_machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    base = 'python -c "import click"'
    every = [
        Contender(base, [sys.executable, "-c", "import click"]),
        Contender(peers.LABCTL, [sys.executable, "-m", "labctl", "--help"]),
    ]
    found = in_turn(every, max(rounds, 2) * 3, say)
    return [Outcome("labctl --help", base, found, [below(found, base, 2.0)])]


def no_op(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    inventory = machine.inventory({"student1": machine.address})
    every = [peers.floor(inventory), peers.labctl(inventory), peers.pyinfra(inventory)]
    every += [peers.ansible(inventory, name) for name in (peers.MITOGEN, peers.TUNED, peers.PLAIN)]
    found = in_turn(every, rounds, say)
    targets = [below(found, peers.FLOOR, 2.0), above(found, peers.TUNED, 15.0)]
    targets += [above(found, peers.MITOGEN, 6.0), above(found, peers.PYINFRA, 5.0)]
    return [Outcome("Nothing to change, one host", peers.FLOOR, found, targets)]


def slow(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    with slow_link(machine.pid, ROUND_TRIP) as address:
        inventory = machine.inventory({"student1": address})
        every = [peers.floor(inventory), peers.labctl(inventory), peers.pyinfra(inventory)]
        every += [peers.ansible(inventory, name) for name in (peers.MITOGEN, peers.TUNED)]
        found = in_turn(every, rounds, say)
    targets = [below(found, peers.FLOOR, 1.5), above(found, peers.TUNED, 25.0)]
    title = f"Nothing to change, over a link of {ROUND_TRIP * 1000:.0f} ms"
    return [Outcome(title, peers.FLOOR, found, targets)]


def fan_out(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    machine.open_wide()
    outcomes = []
    for hosts in (50, 200):
        inventory = machine.many(hosts)
        every = [peers.pool(inventory, FORKS), peers.labctl(inventory, FORKS)]
        if hosts == 200:  # once: it takes longer than all the rest
            every.append(peers.ansible(inventory, peers.TUNED, FORKS, rounds=1))
        found = in_turn(every, rounds, say, memory=True)
        targets = fan_out_targets(found, peers.POOL, hosts)
        if peers.TUNED in found:
            targets.append(above(found, peers.TUNED, 4.0))
        title = f"Nothing to change, {hosts} hosts, {FORKS} at once"
        outcomes.append(Outcome(title, peers.POOL, found, targets, hosts))
    return outcomes


def first(machine: Machine, rounds: int, say: Say) -> list[Outcome]:
    inventory = machine.box.inventory_path
    machine.fresh()
    every = [peers.script(inventory), _only(peers.labctl(inventory)), peers.pyinfra(inventory)]
    every += [_only(peers.ansible(inventory, name)) for name in (peers.MITOGEN, peers.TUNED)]
    found = in_turn(every, rounds, say, before_each=machine.fresh)
    targets = [below(found, peers.SCRIPT, 1.25)]
    targets += [above(found, name, 1.0) for name in (peers.PYINFRA, peers.MITOGEN, peers.TUNED)]
    return [Outcome("First run, one fresh host", peers.SCRIPT, found, targets)]


def _only(one: Contender) -> Contender:
    """The sandbox's own inventory has a staff machine beside."""
    return Contender(one.name, [*one.argv, "--limit", "student1"], one.environment)


def ready(machine: Machine) -> None:
    """Make the changes, so that the runs after it find nothing to do."""
    run(peers.labctl(machine.inventory({"student1": machine.address})))


SCENARIOS: dict[str, Scenario] = {
    "start-up": start_up,
    "no-op": no_op,
    "slow-link": slow,
    "fan-out": fan_out,
    "first-run": first,
}
