"""Ctrl-C in the middle of labctl setup: what is left on the VMs, what is said, how long it takes."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from containers import Containers, containers, make_package
from openssh import key_pair
from playing import write
from waiting import wait_for

VMS = ("student1", "student2", "student3")


@pytest.fixture(scope="module")
def vms() -> Iterator[Containers]:
    with containers("int", students=3) as made:
        yield made


def interrupt(
    process: subprocess.Popen[str], *, times: int = 1, apart: float = 0.3
) -> tuple[dict[str, Any], str, float]:
    """Send Ctrl-C, ``times`` times, ``apart`` seconds; the document, stderr and how long the end took."""
    began = time.monotonic()
    for turn in range(times):
        if turn:
            time.sleep(apart)
        process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    seconds = time.monotonic() - began
    assert process.returncode == 130, out + err
    assert "Traceback" not in err, err
    document = json.loads(out)
    assert document["interrupted"] is True
    return document, err, seconds


def runs(vms: Containers, vm: str, command: str) -> bool:
    return vms.box.run(vm, f"sudo pgrep -fx '{command}'").status == 0


@pytest.mark.vm
@pytest.mark.timeout(300)
@pytest.mark.root
@pytest.mark.parametrize("become", [True, False])
def test_a_command_under_way_is_ended_on_every_vm(vms: Containers, tmp_path: Path, become: bool) -> None:
    play = write(
        tmp_path,
        f"- hosts: students\n  become: {str(become).lower()}\n  tasks:\n"
        "    - command: 'true'\n    - shell: sleep 6{{ item }} & sleep 6{{ item }}\n      loop: [01, 02]\n",
    )
    process = vms.begin(play, *VMS)
    for vm in VMS:
        wait_for(lambda vm=vm: runs(vms, vm, "sleep 61"), f"sleep runs on {vm}")
    document, err, seconds = interrupt(process)
    assert seconds < 15
    assert {host["host"]: [task["status"] for task in host["tasks"]] for host in document["hosts"]} == {
        vm: ["changed"] for vm in VMS
    }
    assert all(f"changed    {vm}: command" in err for vm in VMS)
    for vm in VMS:
        wait_for(lambda vm=vm: not runs(vms, vm, "sleep 6.*"), f"nothing left on {vm}", 10)
        assert vms.run("ps -eo args | grep -c '[p]ython3 -I -c' || true", vm).strip() == "0"


@pytest.mark.vm
@pytest.mark.timeout(300)
@pytest.mark.root
def test_an_installation_under_way_finishes_by_itself(vms: Containers, tmp_path: Path) -> None:
    script = "echo begun; touch /run/begun; sleep 15; seq 100000; echo on; touch /run/ended"
    for vm in VMS:
        make_package(vms, "slow", script, vm)
    play = write(
        tmp_path,
        "- hosts: students\n  become: true\n  tasks:\n    - ping:\n    - apt: {deb: /tmp/slow.deb}\n"
        "    - file: {path: /run/after, state: touch, modification_time: preserve, access_time: preserve}\n",
    )
    process = vms.begin(play, *VMS)
    for vm in VMS:
        wait_for(lambda vm=vm: vms.box.run(vm, "test -e /run/begun").status == 0, f"installing on {vm}")
    document, _err, seconds = interrupt(process)
    assert seconds < 15
    assert [len(host["tasks"]) for host in document["hosts"]] == [1, 1, 1]
    for vm in VMS:
        vms.run("test ! -e /run/ended", vm)
    for vm in VMS:
        wait_for(lambda vm=vm: "ok installed" in vms.run("dpkg -s slow", vm), f"installed on {vm}")
        assert vms.run("sudo dpkg --audit; ls /run/ended", vm) == "/run/ended\n"
        vms.run("test ! -e /run/after", vm)
    hosts = vms.setup(play, *VMS)
    assert [[task["status"] for task in host["tasks"]] for host in hosts] == [["ok", "ok", "changed"]] * 3


def setup_here(tmp_path: Path, host: str, task: str) -> subprocess.Popen[str]:
    (tmp_path / "inventory.yml").write_text(f"all: {{hosts: {{one: {{{host}}}}}}}\n")
    play = write(tmp_path, f"- hosts: all\n  tasks:\n    - {task}\n")
    return subprocess.Popen(
        [
            *(sys.executable, "-m", "labctl", "setup", "one", "--json"),
            *("-i", f"{tmp_path}/inventory.yml", "--playbook", str(play)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "task",
    ["pause: {seconds: 60}", "wait_for_connection: {delay: 60}", "command: sleep 60\n      retries: 9"],
)
def test_waiting_here_is_ended_too(tmp_path: Path, task: str) -> None:
    process = setup_here(tmp_path, "ansible_connection: local", f"command: 'true'\n    - {task}")
    assert process.stderr is not None
    said = [process.stderr.readline() for _ in range(2)]
    assert "changed" in said[1], said
    time.sleep(0.5)
    _document, _err, seconds = interrupt(process)
    assert seconds < 15


@pytest.mark.parametrize(("times", "apart"), [(1, 0.0), (2, 0.3), (300, 0.005)])
def test_a_peer_that_says_nothing_does_not_hold_the_end_up(tmp_path: Path, times: int, apart: float) -> None:
    """However often Ctrl-C is pressed, and in whichever moment of the end: the account, and status 130."""
    (tmp_path / "known").touch()
    # without a key to offer it would end by itself, and at once
    key_pair(tmp_path / "key")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        where = f"ansible_host: 127.0.0.1, ansible_port: {silent.getsockname()[1]}"
        trusts = f"labctl_known_hosts: {tmp_path}/known, ansible_ssh_private_key_file: {tmp_path}/key"
        process = setup_here(tmp_path, f"{where}, {trusts}", "ping:")
        silent.settimeout(20)
        link, _address = silent.accept()
        with link:
            document, _err, seconds = interrupt(process, times=times, apart=apart)
    assert seconds < 15
    assert document["hosts"][0]["tasks"] == []
