"""The sandbox on containers: the same commands, the same image, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from vms import NAME

from labctl.errors import SandboxError
from labctl.sandbox import Sandbox, nspawn, process

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]


@pytest.fixture
def box() -> Iterator[Sandbox]:
    made = Sandbox.open(f"{NAME}-nspawn")
    made.down()
    try:
        made.up(students=2, driver="nspawn")
        yield made
    finally:
        made.down()


def mounts_below(directory: Path) -> list[str]:
    return [
        line for line in Path("/proc/self/mountinfo").read_text().splitlines() if f" {directory}/" in line
    ]


def test_it_boots_whole_machines_and_leaves_nothing(box: Sandbox) -> None:
    status = box.status()
    assert (status.up, status.accel) == (True, "container")
    assert [one.name for one in status.vms] == ["staff2", "student1", "student2"]
    assert box.run("student1", "hostname -f").stdout == "student1.decal.xcf.sh\n"
    assert box.run("student1", "systemctl is-system-running --wait").stdout == "running\n"
    assert box.run("student1", "sudo -n id -u").stdout == "0\n"
    # the private network of the lab, by name
    assert box.run("student1", "ping -c 1 -W 5 student2.decal.xcf.sh").status == 0
    with pytest.raises(SandboxError, match="container: it has no snapshots"):
        box.snapshot("student1", "bare")
    pids = [one.pid for one in status.vms]
    assert box.down() is True
    assert all(process.start_ticks(pid) is None for pid in pids)
    assert not box.directory.exists()
    assert mounts_below(box.directory) == []
    assert not Path("/sys/class/net", nspawn.bridge_name(box.name)).exists()


def test_one_that_died_is_made_anew_and_the_others_are_left_alone(box: Sandbox) -> None:
    before = {one.name: one.pid for one in box.status().vms}
    box.run("student1", "touch ~/mine")
    process.end(before["student2"], box.directory / "vms" / "student2" / "qemu.pid")
    assert box.status().up is False
    box.up()
    after = {one.name: one.pid for one in box.status().vms}
    assert after["student1"] == before["student1"]
    assert after["student2"] != before["student2"]
    assert box.run("student1", "ls ~/mine").status == 0
    assert box.run("student2", "true").status == 0
    with pytest.raises(SandboxError, match="is up with driver nspawn"):
        box.up(driver="qemu")


def test_labctl_reaches_them_by_the_inventory(box: Sandbox) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labctl", "hosts", "ping", "all", "-i", str(box.inventory_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
