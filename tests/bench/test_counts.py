"""What the benchmark's playbook costs, by count: one login, session and sudo a host. No time is taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from counts import Counts, count
from link import slow_link
from machine import Machine
from scenarios import ready
from vms import NAME

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    with Machine(f"{NAME}-bench") as made:
        made.open_wide()
        ready(made)
        yield made


def test_nothing_to_change_is_one_login_and_two_requests(machine: Machine) -> None:
    inventory = machine.inventory({"student1": machine.address})
    assert count(machine, inventory) == Counts(
        hosts=1, logins=1, sessions=1, sudos=1, round_trips=1, tasks=16, changed=0
    )


def test_each_of_many_hosts_costs_the_same(machine: Machine) -> None:
    assert count(machine, machine.many(6)) == Counts(
        hosts=6, logins=6, sessions=6, sudos=6, round_trips=6, tasks=96, changed=0
    )


def test_a_slow_link_costs_no_more_requests(machine: Machine) -> None:
    with slow_link(machine.pid, 0.02) as address:
        inventory = machine.inventory({"student1": address})
        assert count(machine, inventory) == Counts(
            hosts=1, logins=1, sessions=1, sudos=1, round_trips=1, tasks=16, changed=0
        )
