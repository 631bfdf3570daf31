"""What is found on disk and in /proc: whole, stale, half made; and the files written from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from labctl.cli.sandbox import sandbox
from labctl.errors import SandboxError
from labctl.sandbox import Sandbox, current_inventory, inventory, process, releases, seed, state
from labctl.sandbox.state import State, Vm

PORTS = {22: 22, 53: 53, 80: 80, 7000: 7000, 7001: 7001}
VM = Vm("student1", "127.77.0.11", "0" * 32, "key", PORTS)


def _state(*vms: Vm) -> State:
    return State("default", "239.77.0.1:30000", "banana", "abc", "tcg", {vm.name: vm for vm in vms})


@pytest.fixture
def pretender(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """A process whose command line looks like the QEMU of student1 under tmp_path: (pid, pid file)."""
    pidfile = state.pidfile(tmp_path, "student1")
    pidfile.parent.mkdir(parents=True)
    code = "import time; time.sleep(60)"
    with subprocess.Popen(
        ["qemu-system-fake", "-c", code, "-pidfile", str(pidfile)], executable=sys.executable
    ) as child:
        while "-pidfile" not in process.arguments(child.pid):
            time.sleep(0.01)
        yield child.pid, pidfile
        child.kill()


def test_state_survives_a_round_trip(tmp_path: Path) -> None:
    known = _state(VM, replace(VM, name="staff2", ports={22: 20022}, pid=7, ticks=8, ready=True))
    state.save(tmp_path, known)
    assert state.load(tmp_path) == known


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "vms": {"a": {}}}'])
def test_a_spoilt_state_file_is_no_state(tmp_path: Path, text: str) -> None:
    (tmp_path / state.FILE).write_text(text)
    assert state.load(tmp_path) is None


def test_our_own_process_is_recognised(tmp_path: Path, pretender: tuple[int, Path]) -> None:
    pid, pidfile = pretender
    ticks = process.start_ticks(pid)
    assert ticks is not None
    assert process.find(pidfile) == [pid]
    assert state.runs(tmp_path, replace(VM, pid=pid, ticks=ticks))


def test_a_pid_used_again_is_not_ours(tmp_path: Path, pretender: tuple[int, Path]) -> None:
    pid, _ = pretender
    assert not state.runs(tmp_path, replace(VM, pid=pid, ticks=1))
    assert not state.runs(tmp_path, replace(VM, pid=os.getpid(), ticks=process.start_ticks(os.getpid()) or 0))


def test_an_ended_process_does_not_run() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        deadline = time.monotonic() + 10
        # a zombie until it is waited for
        while process.start_ticks(child.pid) is not None:
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_only_our_own_process_is_ended(tmp_path: Path, pretender: tuple[int, Path]) -> None:
    pid, pidfile = pretender
    process.end(pid, tmp_path / "another.pid")
    assert process.start_ticks(pid) is not None
    process.end(pid, pidfile)
    assert process.start_ticks(pid) is None


def test_down_ends_a_vm_that_no_state_file_knows(
    home: Path, monkeypatch: pytest.MonkeyPatch, pretender: tuple[int, Path]
) -> None:
    pid, pidfile = pretender
    box = Sandbox("lost", pidfile.parents[2])
    monkeypatch.setenv("XDG_STATE_HOME", str(home))
    state.save(box.directory, _state())
    (box.directory / state.FILE).write_text("{")
    assert [vm.state for vm in box.status().vms] == ["stopped"]
    for entry in box.directory.iterdir():
        if entry.name not in {"vms", state.FILE}:
            entry.rmdir()
    assert box.down()
    assert process.start_ticks(pid) is None
    assert not box.directory.exists()


def test_there_is_no_inventory_without_a_running_sandbox(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_SANDBOX", "none")
    assert current_inventory() is None
    box = Sandbox.open()
    box.directory.mkdir(parents=True)
    state.save(box.directory, _state(replace(VM, pid=1, ticks=1, ready=True)))
    inventory.write(box.directory, _state(VM))
    assert current_inventory() is None
    assert not box.status().up
    monkeypatch.setenv("LABCTL_SANDBOX", "NOT a name")
    assert current_inventory() is None


def test_asking_a_vm_that_is_not_there_says_which_are(home: Path) -> None:
    box = Sandbox.open("none")
    with pytest.raises(SandboxError, match="not up"):
        box.ssh_argv("student1")
    box.directory.mkdir(parents=True)
    state.save(box.directory, _state(VM))
    with pytest.raises(SandboxError) as caught:
        box.ssh_argv("student9")
    assert "student1" in caught.value.hint
    with pytest.raises(SandboxError, match="does not run"):
        box.ssh_argv("student1")


def test_down_without_a_sandbox_is_nothing(home: Path) -> None:
    assert not Sandbox.open("none").down()
    assert list(home.iterdir()) == []


def test_two_commands_take_turns(tmp_path: Path) -> None:
    directory = tmp_path / "box"
    order: list[str] = []
    with state.locked(directory):

        def other() -> None:
            with state.locked(directory):
                order.append("second")
                directory.rmdir()

        waiting = threading.Thread(target=other)
        waiting.start()
        time.sleep(0.1)
        order.append("first")
        directory.rmdir()
    waiting.join(10)
    assert order == ["first", "second"]


def test_the_inventory_says_how_to_reach_every_vm(tmp_path: Path) -> None:
    staff = replace(VM, name="staff2", address="127.77.0.2", ports={**PORTS, 22: 20022, 53: 20053})
    document = yaml.safe_load(inventory.write(tmp_path, _state(VM, staff)).read_text())["all"]
    assert document["vars"]["labctl_known_hosts"] == str(tmp_path / "known_hosts")
    assert document["vars"]["ansible_ssh_private_key_file"] == str(tmp_path / "id_ed25519")
    assert "StrictHostKeyChecking=yes" in document["vars"]["ansible_ssh_common_args"]
    assert document["vars"]["nfs_server"] == "staff2.decal.xcf.sh"
    groups = document["children"]
    assert groups["staff"]["vars"] == {"lab_secret": "banana"}
    assert groups["students"]["hosts"] == {
        "student1": {
            "ansible_host": "127.77.0.11",
            "ansible_port": 22,
            "ansible_user": "student1",
            "lab_user": "student1",
            "lab_fqdn": "student1.decal.xcf.sh",
            "lab_address": "10.77.0.11",
        }
    }
    assert groups["staff"]["hosts"]["staff2"]["ansible_port"] == 20022
    assert groups["staff"]["hosts"]["staff2"]["outside_ports"] == {22: 20022, 53: 20053}


def test_known_hosts_brackets_only_other_ports() -> None:
    assert seed.known_hosts_line("127.77.0.2", 22, "ssh-ed25519 AAAA x") == "127.77.0.2 ssh-ed25519 AAAA\n"
    assert seed.known_hosts_line("127.77.0.2", 20022, "ssh-ed25519 AAAA") == (
        "[127.77.0.2]:20022 ssh-ed25519 AAAA\n"
    )


def _no_image(*_: object) -> None:
    raise SandboxError("no image here")


def test_a_sandbox_runs_one_release(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labctl.sandbox.box.image.ensure", _no_image)
    monkeypatch.setenv("LABCTL_SANDBOX", "none")
    box = Sandbox.open()
    box.directory.mkdir(parents=True)
    state.save(box.directory, replace(_state(VM), release="jammy"))
    assert box.status().release == "jammy"
    result = CliRunner().invoke(sandbox, ["up", "--release", "bookworm"])
    assert isinstance(result.exception, SandboxError)
    assert result.exception.message == "sandbox 'default' is up with release jammy"
    assert result.exception.hint.startswith("labctl sandbox down first, or another name in LABCTL_SANDBOX")
    # one that was made before there was a choice
    saved = json.loads((box.directory / state.FILE).read_text())
    del saved["release"]
    (box.directory / state.FILE).write_text(json.dumps(saved))
    with pytest.raises(SandboxError, match="is up with release bookworm"):
        box.up(release="jammy")


def test_the_command_line_knows_every_release(home: Path) -> None:
    result = CliRunner().invoke(sandbox, ["up", "--release", "noble"])
    assert result.exit_code == 2
    for name in releases.RELEASES:
        assert f"'{name}'" in result.output
    told = " ".join(CliRunner().invoke(sandbox, ["up", "--help"]).output.split())
    for release in releases.RELEASES.values():
        assert f"{release.name} is {release.label}" in told


def test_up_asks_for_the_release_of_the_sandbox(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def ensure(_: object, release: releases.Release) -> None:
        asked.append(release.name)
        _no_image()

    monkeypatch.setattr("labctl.sandbox.box.image.ensure", ensure)
    for wanted in (None, "jammy"):
        with pytest.raises(SandboxError, match="no image here"):
            Sandbox.open("none").up(1, release=wanted)
    made_before = Sandbox.open("before")
    made_before.directory.mkdir(parents=True)
    state.save(made_before.directory, replace(_state(VM), release="jammy"))
    with pytest.raises(SandboxError, match="no image here"):
        made_before.up()
    assert asked == ["bookworm", "jammy", "jammy"]
