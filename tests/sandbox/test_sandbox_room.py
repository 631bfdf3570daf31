"""Room for many containers: the limit of inotify instances, seen beforehand, raised and put back."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path

import pytest

from labctl.errors import SandboxError
from labctl.sandbox import inotify, needs
from labctl.sandbox.booting import booted
from labctl.sandbox.state import Vm


@pytest.fixture
def limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A limit of the test's own, with 30 in use."""
    path = tmp_path / "max_user_instances"
    path.write_text("128\n")
    monkeypatch.setattr(inotify, "LIMIT", path)
    monkeypatch.setattr(inotify, "in_use", lambda: 30)
    return path


def test_few_containers_need_nothing(limit: Path, tmp_path: Path) -> None:
    assert inotify.make_room(tmp_path, 4) is None
    inotify.put_back(tmp_path)
    assert limit.read_text() == "128\n"


def test_for_many_the_limit_is_raised_and_put_back(limit: Path, tmp_path: Path) -> None:
    told = inotify.make_room(tmp_path, 50)
    raised = int(limit.read_text())
    assert raised >= 30 + 50 * inotify.OF_A_CONTAINER
    assert told == f"fs.inotify.max_user_instances is raised from 128 to {raised}, until labctl sandbox down"
    # more of them later: what it was at first is not forgotten
    assert inotify.make_room(tmp_path, 80)
    assert int(limit.read_text()) > raised
    inotify.put_back(tmp_path)
    assert limit.read_text() == "128\n"


def test_what_others_need_or_have_set_is_left_alone(
    limit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inotify.make_room(tmp_path, 50)
    raised = limit.read_text()
    monkeypatch.setattr(inotify, "in_use", lambda: 120)
    inotify.put_back(tmp_path)
    assert limit.read_text() == raised
    monkeypatch.setattr(inotify, "in_use", lambda: 30)
    inotify.make_room(tmp_path, 200)
    limit.write_text("9999\n")
    inotify.put_back(tmp_path)
    assert limit.read_text() == "9999\n"


def test_a_limit_that_cannot_be_raised_is_an_error_with_the_command(
    limit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # a setting that Linux lets nobody write, as where /proc/sys is read-only
    monkeypatch.setattr(inotify, "LIMIT", Path("/proc/sys/kernel/ngroups_max"))
    with pytest.raises(SandboxError, match="not ours to raise") as raised:
        inotify.make_room(tmp_path, 20_000)
    assert "sysctl -w fs.inotify.max_user_instances=" in raised.value.hint
    inotify.put_back(tmp_path)


def test_doctor_says_how_many_find_room(limit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert needs.containers_need().ok
    assert "8 more containers" in needs.containers_need().found
    monkeypatch.setattr("os.access", lambda *_: False)
    monkeypatch.setattr(inotify, "in_use", lambda: 120)
    need = needs.containers_need()
    assert (need.ok, need.mend) == (False, "sysctl -w fs.inotify.max_user_instances=1024")


@pytest.mark.root
def test_instances_are_counted() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    before = inotify.in_use()
    opened = [libc.inotify_init() for _ in range(5)]
    try:
        assert -1 not in opened
        counted = inotify.in_use()
    finally:
        for one in opened:
            os.close(one)
    # somebody else's may come and go meanwhile
    assert counted >= before + 5 - 3


def test_more_vms_than_there_is_memory_for_are_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    monkeypatch.setattr(needs, "MEMINFO", meminfo)
    assert needs.memory_warning(40, "nspawn") == ""
    assert needs.memory_warning(50, "nspawn") == (
        "50 VMs take about 5.0 GB of memory with a lab done, and 4.1 GB is available"
    )
    assert "6.0 GB" in needs.memory_warning(10, "qemu")
    meminfo.unlink()
    assert needs.memory_warning(50, "nspawn") == ""


class Booting:
    """VMs that only say that they boot; ``failing`` never comes up."""

    def __init__(self, failing: str = "") -> None:
        self.failing = failing
        self.started: list[str] = []
        self.now = 0
        self.most = 0
        self.lock = threading.Lock()
        self.full = threading.Event()

    def start(self, name: str) -> Vm:
        self.started.append(name)
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
            if self.now == 3:
                self.full.set()
        return Vm(name, "10.0.0.1", "", "")

    def wait(self, one: Vm) -> None:
        # until there are as many as there may be
        assert self.full.wait(30)
        with self.lock:
            self.now -= 1
        if one.name == self.failing:
            raise SandboxError(f"{one.name} did not come up")


def test_so_many_boot_at_a_time_and_all_come_up() -> None:
    vms = Booting()
    names = [f"student{number}" for number in range(1, 21)]
    assert sorted(one.name for one in booted(names, vms.start, vms.wait, 3)) == sorted(names)
    assert (vms.started, vms.most) == (names, 3)


def test_one_that_does_not_come_up_ends_it_and_the_others_are_known() -> None:
    vms = Booting("student4")
    up = []

    def boot() -> None:
        for one in booted([f"student{number}" for number in range(1, 21)], vms.start, vms.wait, 3):
            up.append(one.name)

    with pytest.raises(SandboxError, match="student4"):
        boot()
    assert set(up) < set(vms.started)
    assert up
    assert len(vms.started) < 20
