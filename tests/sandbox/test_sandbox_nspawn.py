"""The sandbox on containers: the same commands, the same image, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from vms import NAME

from labctl.errors import SandboxError
from labctl.sandbox import Sandbox, nspawn, process, state
from labctl.sandbox.state import Vm

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
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
    box.snapshot("student1", "bare")
    box.run("student1", "touch ~/later")
    box.restore("student1", "bare")
    assert box.run("student1", "ls ~").stdout == ""
    pids = [one.pid for one in box.status().vms]
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


def is_plugged_in(link: str) -> bool:
    card = Path("/sys/class/net", link)
    try:
        return (card / "master").exists() and bool(int((card / "flags").read_text(), 16) & 1)
    except OSError:
        return False


def test_one_that_nobody_can_reach_is_made_anew_once_and_said_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The cable is pulled as the container starts: real, and seen as it is on a machine under load."""
    box = Sandbox.open(f"{NAME}-nspawn")
    box.down()
    original, started = nspawn.start, []

    def without_cable(sandbox: str, directory: Path, one: Vm, contents: dict[str, tuple[int, str]]) -> Vm:
        made = original(sandbox, directory, one, contents)
        started.append(one.name)
        if one.name == "student1" and (always or started.count("student1") == 1):
            link = "vb-" + nspawn.machine_name(sandbox, one.name)
            until = time.monotonic() + 30
            # plugged in: systemd-nspawn would plug in again what is pulled before
            while not is_plugged_in(link) and time.monotonic() < until:
                time.sleep(0.01)
            subprocess.run(["ip", "link", "set", link, "down"], check=True)
        return made

    monkeypatch.setattr(nspawn, "start", without_cable)
    monkeypatch.setattr("labctl.sandbox.box.CONTAINER_BOOT_SECONDS", 6.0)
    told: list[str] = []
    try:
        always = False
        box.up(students=1, driver="nspawn", progress=lambda step: told.append(step.what))
        # what had come up is not made anew with it
        assert started == ["staff2", "student1", "student1"]
        (why,) = [
            what for what in told if what.startswith("once more: student1 did not let us in within 6 s")
        ]
        assert "ip neighbour" in why
        assert box.run("student1", "hostname").stdout == "student1\n"
        box.down()
        always = True
        with pytest.raises(SandboxError, match="student1 did not let us in"):
            box.up(students=1, driver="nspawn")
    finally:
        box.down()
    assert not box.directory.exists()


def test_one_that_is_stopped_while_it_starts_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """systemd-nspawn ended before it has handed over would leave the container running for good."""
    box = Sandbox.open(f"{NAME}-nspawn")
    box.down()
    original = nspawn.start

    for pause in (0.0, 0.05, 0.1, 0.2, 0.4, 0.8):

        def interrupted(*args: Any) -> Vm:
            original(*args)
            time.sleep(pause)  # noqa: B023 - called before the next round
            raise KeyboardInterrupt

        monkeypatch.setattr(nspawn, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            box.up(students=1, driver="nspawn")
        pidfile = state.pidfile(box.directory, "staff2")
        assert process.find(pidfile) == []
        assert not [pid for pid in process.pids() if process.is_inside(pid, pidfile)]
        box.down()
        assert not Path("/sys/class/net", "vb-" + nspawn.machine_name(box.name, "staff2")).exists()


def test_labctl_reaches_them_by_the_inventory(box: Sandbox) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "labctl", "hosts", "ping", "all", "-i", str(box.inventory_path)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
