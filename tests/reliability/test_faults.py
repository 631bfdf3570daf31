"""A fault of the VM or of the way to it costs what depends on it, is named, and costs nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from link import slow_link
from solved import ONLY, Solved, solved

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]

LOOKING = (*ONLY, "--no-disrupt")
#: Far beyond a VM's own deadline nothing may still be under way.
LATE = 60.0


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Solved]:
    with solved("faults", tmp_path_factory.mktemp("course")) as (made,):
        yield made


@contextmanager
def broken(lab: Solved, fault: str, mend: str) -> Iterator[None]:
    """``fault`` and, whatever happens, ``mend``: shell lines that root runs there, without SSH and sudo."""
    lab.as_root(fault)
    try:
        yield
    finally:
        lab.as_root(mend)


def verdicts(host: dict[str, Any]) -> set[str]:
    return {one["verdict"] for one in host["checks"]}


def seen_from_outside(host: dict[str, Any]) -> int:
    rows = host["evidence"]["observations"].values()
    return sum(one["vantage"] == "outside" and "value" in one for one in rows)


def test_a_broken_resolver_touches_no_other_verdict(lab: Solved) -> None:
    with broken(
        lab,
        "mv /etc/resolv.conf /etc/resolv.conf.kept; echo nameserver 192.0.2.1 > /etc/resolv.conf",
        "mv /etc/resolv.conf.kept /etc/resolv.conf",
    ):
        host = lab.grade(*LOOKING)
    assert host["missed"] == ""


def test_a_full_disk_keeps_nobody_from_looking(lab: Solved) -> None:
    places = ("/tmp", "/var/tmp", "/var/log")
    fill = "mount -t tmpfs -o size=64k full {0}; head -c 100k /dev/zero > {0}/full; ! echo x > {0}/more"
    with broken(
        lab,
        "; ".join(fill.format(one) for one in places),
        "; ".join(f"umount {one}" for one in places),
    ):
        host = lab.grade(*LOOKING)
    assert host["missed"] == ""


def test_setup_names_a_full_disk(lab: Solved, tmp_path: Path) -> None:
    playbook = tmp_path / "full.yml"
    playbook.write_text(
        "- hosts: all\n  become: true\n  gather_facts: false\n  tasks:\n"
        "    - copy: {dest: /mnt/file, content: '{{ \"x\" * 200000 }}'}\n"
    )
    with broken(lab, "mount -t tmpfs -o size=64k full /mnt", "umount /mnt"):
        (host,) = lab.vms.setup(playbook, lab.name, status=1)
    assert "disk full on the VM" in str(host["tasks"])


def test_a_sudo_that_asks_for_a_password_is_an_error_at_once(lab: Solved) -> None:
    with broken(lab, "mv /etc/sudoers.d /etc/sudoers.kept", "mv /etc/sudoers.kept /etc/sudoers.d"):
        began = time.monotonic()
        host = lab.grade(*LOOKING)
        seconds = time.monotonic() - began
    assert host["status"] == "error"
    assert "sudo" in host["missed"]
    assert "fail" not in verdicts(host)
    # nobody waits for an answer; what is seen from outside takes its time
    assert seconds < LATE


def test_without_python_that_is_said_and_the_outside_is_looked_at(lab: Solved) -> None:
    with broken(
        lab, "mv /usr/bin/python3 /usr/bin/python3.kept", "mv /usr/bin/python3.kept /usr/bin/python3"
    ):
        host = lab.grade(*LOOKING)
    assert host["status"] == "error"
    assert "there is no python3 on the VM" in host["missed"]
    assert "fail" not in verdicts(host)
    assert seen_from_outside(host) > 0


def test_a_held_lock_of_apt_is_neither_waited_for_nor_broken(lab: Solved) -> None:
    holder = "setsid flock /var/lib/dpkg/lock-frontend sleep 120 > /dev/null 2>&1 < /dev/null &"
    with broken(lab, holder, "pkill -x flock; pkill -x sleep; true"):
        host = lab.grade(*LOOKING)
        assert lab.as_root("pgrep -cx flock").strip() == "1"
    assert host["missed"] == ""


def test_a_vm_that_nobody_reaches_is_an_error_by_the_deadline(lab: Solved) -> None:
    lab.disconnect()
    try:
        began = time.monotonic()
        host = lab.grade(*LOOKING, "--deadline", "60")
        seconds = time.monotonic() - began
    finally:
        lab.connect()
    assert host["error_cause"] == "unreachable", host["error"]
    assert host["checks"] == []
    assert seconds < 60 + LATE
    # what could not be seen is there when it is asked for again
    assert lab.grade(*LOOKING)["missed"] == ""


@pytest.mark.timeout(900)
def test_a_terrible_link_ends_in_a_verdict_or_an_error_by_the_deadline(lab: Solved, tmp_path: Path) -> None:
    """30 % of the packets lost, each way, and two seconds there and back."""
    with slow_link(lab.init, 2.0, 0.3, seed=7) as address:
        inventory = lab.inventory(address, tmp_path)
        began = time.monotonic()
        host = lab.grade(*LOOKING, inventory=inventory)
        seconds = time.monotonic() - began
    assert "fail" not in verdicts(host), host["missed"]
    assert seconds < 180 + LATE
