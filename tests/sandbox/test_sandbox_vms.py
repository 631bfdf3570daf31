"""The promises of the sandbox, kept on real VMs."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest
import yaml
from vms import Machines
from waiting import wait_for

from labctl.errors import SandboxError
from labctl.sandbox import Sandbox, current_inventory, network, process, state

pytestmark = pytest.mark.vm


def _ok(box: Sandbox, vm: str, command: str, timeout: float = 120) -> str:
    done = box.run(vm, command, timeout=timeout)
    assert done.status == 0, f"{command}: {done.stderr}{done.stdout}"
    return done.stdout


@pytest.fixture
def fresh(sandbox: Sandbox) -> Sandbox:
    """The shared VMs as they were after their first boot; whatever a test does to them is undone."""
    for vm in (network.STAFF, "student1"):
        sandbox.restore(vm, "bare")
    return sandbox


def test_the_inventory_of_a_running_sandbox_is_the_one_in_use(sandbox: Sandbox) -> None:
    assert current_inventory() == sandbox.inventory_path
    hosts = yaml.safe_load(sandbox.inventory_path.read_text())["all"]["children"]["students"]["hosts"]
    assert hosts["student1"]["lab_address"] == "10.77.0.11"


def test_a_vm_is_who_the_inventory_says(fresh: Sandbox) -> None:
    assert _ok(fresh, "student1", "hostname; hostname -f; whoami; id -u").split() == [
        "student1",
        "student1.decal.xcf.sh",
        "student1",
        "1000",
    ]
    assert _ok(fresh, "student1", "sudo -n id -u").strip() == "0"
    assert _ok(fresh, "staff2", "cat /etc/machine-id") != _ok(fresh, "student1", "cat /etc/machine-id")
    assert _ok(fresh, "student1", "systemctl --failed --no-legend") == ""


def test_root_and_passwords_are_refused(fresh: Sandbox) -> None:
    argv = fresh.ssh_argv("student1", batch=True)
    done = subprocess.run(
        [*argv[:-1], argv[-1].replace("student1@", "root@"), "true"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_another_host_key_is_refused(fresh: Sandbox, tmp_path: Path) -> None:
    known = fresh.directory / "known_hosts"
    lines = known.read_text().splitlines()
    keys = [line.split()[2] for line in lines]
    wrong = tmp_path / "known_hosts"
    # each VM's address with the other one's key
    wrong.write_text(
        "".join(f"{line.rsplit(' ', 1)[0]} {key}\n" for line, key in zip(lines, keys[::-1], strict=True))
    )
    argv = [word.replace(str(known), str(wrong)) for word in fresh.ssh_argv("student1", batch=True)]
    done = subprocess.run([*argv, "true"], capture_output=True, text=True, check=False)
    assert done.returncode == 255
    assert "Host key verification failed" in done.stderr


def test_vms_know_and_reach_each_other_by_name(fresh: Sandbox) -> None:
    for vm in ("staff2", "student1"):
        names = _ok(fresh, vm, "getent hosts staff2.decal.xcf.sh student1.decal.xcf.sh staff2 student2")
        addresses = [line.split()[0] for line in names.splitlines()]
        assert addresses == ["10.77.0.2", "10.77.0.11", "10.77.0.2", "10.77.0.12"]
    _ok(fresh, "student1", "ping -c 1 -W 5 staff2.decal.xcf.sh")
    _ok(fresh, "staff2", "ping -c 1 -W 5 student1.decal.xcf.sh")


def test_the_labs_packages_install_without_a_network(fresh: Sandbox) -> None:
    _ok(fresh, "student1", "sudo ip route del default && sudo ip link set eth1 down")
    _ok(fresh, "student1", "sudo apt-get install -y bind9", timeout=200)
    assert _ok(fresh, "student1", "systemctl is-active named").strip() == "active"
    plan = _ok(
        fresh,
        "student1",
        "apt-get install -s nfs-common nfs-kernel-server bind9-utils dnsutils haproxy python3-tornado curl "
        "dnsmasq",
    )
    assert "Inst haproxy" in plan


def test_nfs_between_two_vms_survives_a_firewall(provisioned: Machines) -> None:
    """On the VMs that the lab was set up on: installing NFS for this alone takes emulated VMs minutes."""
    box = provisioned.box
    _ok(
        box,
        "staff2",
        "sudo mkdir -p /opt/share && echo hello | sudo tee /opt/share/word && "
        "echo '/opt/share *(ro,no_subtree_check)' | sudo tee -a /etc/exports && sudo exportfs -ra",
    )
    assert "Status: active" in _ok(box, "student1", "sudo ufw status")
    _ok(
        box,
        "student1",
        "sudo mkdir /tmp/share && sudo mount -t nfs staff2.decal.xcf.sh:/opt/share /tmp/share",
    )
    assert _ok(box, "student1", "cat /tmp/share/word").strip() == "hello"


def test_outside_reaches_the_forwarded_ports_through_the_firewall(fresh: Sandbox) -> None:
    vm = fresh.vm("student1")
    _ok(fresh, "student1", "nohup python3 -m http.server 7000 </dev/null >/dev/null 2>&1 &")

    def answers() -> bool:
        try:
            with socket.create_connection((vm.address, vm.ports[7000]), 5) as link:
                link.sendall(b"GET / HTTP/1.0\r\n\r\n")
                return link.recv(5) == b"HTTP/"
        except OSError:
            return False

    wait_for(answers, "the web server")
    _ok(fresh, "student1", "sudo ufw allow 22 && sudo ufw --force enable", timeout=120)
    assert not answers()


def test_restore_takes_the_vm_back_and_sets_its_clock(fresh: Sandbox) -> None:
    _ok(fresh, "student1", "echo before >word")
    fresh.snapshot("student1", "t1")
    assert fresh.has_snapshot("student1", "t1")
    _ok(fresh, "student1", "echo after >word")
    time.sleep(3)
    began = time.monotonic()
    fresh.restore("student1", "t1")
    assert time.monotonic() - began < 10
    done = fresh.run("student1", "date +%s.%N; cat word", timeout=20)
    seen, word = done.stdout.split()
    assert abs(time.time() - float(seen)) < 2 + done.seconds
    assert word == "before"


def test_restoring_what_was_never_kept_says_so(sandbox: Sandbox) -> None:
    with pytest.raises(SandboxError, match="no snapshot 'nothing'"):
        sandbox.restore("student1", "nothing")
    with pytest.raises(SandboxError, match="cannot name a snapshot"):
        sandbox.snapshot("student1", "two words")


def test_a_second_up_changes_nothing(sandbox: Sandbox) -> None:
    before = state.load(sandbox.directory)
    began = time.monotonic()
    sandbox.up(students=1)
    assert time.monotonic() - began < 10
    assert state.load(sandbox.directory) == before


def test_crash_mend_grow_and_down(spare: Sandbox) -> None:
    spare.up(students=1)
    before = state.load(spare.directory)
    assert before is not None
    os.kill(before.vms["student1"].pid, signal.SIGKILL)
    assert process.wait_gone(before.vms["student1"].pid, 10)
    assert not spare.is_up()
    assert {vm.name: vm.state for vm in spare.status().vms} == {"staff2": "running", "student1": "stopped"}

    spare.up(students=2)
    after = state.load(spare.directory)
    assert after is not None
    assert spare.is_up()
    assert set(after.vms) == {"staff2", "student1", "student2"}
    assert after.vms["staff2"] == before.vms["staff2"]
    assert after.vms["student1"].pid != before.vms["student1"].pid
    assert after.vms["student1"].host_key == before.vms["student1"].host_key
    _ok(spare, "student2", "ping -c 1 -W 5 student1")

    assert spare.down()
    assert not spare.directory.exists()
    for vm in after.vms.values():
        assert process.start_ticks(vm.pid) is None
        for port in vm.ports.values():
            assert network.is_free(vm.address, port, socket.SOCK_STREAM)
    assert str(spare.directory) not in _command_lines()


def _command_lines() -> str:
    return " ".join(
        " ".join(process.arguments(int(entry))) for entry in os.listdir("/proc") if entry.isdigit()
    )


def test_a_vm_that_cannot_start_leaves_a_sandbox_that_can_be_mended(
    spare: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "qemu-system-x86_64"
    broken.write_text("#!/bin/sh\necho no room here >&2\nexit 1\n")
    broken.chmod(0o755)
    which = shutil.which
    monkeypatch.setattr(
        "labctl.sandbox.vm.shutil.which", lambda name: str(broken) if "system" in name else which(name)
    )
    with pytest.raises(SandboxError, match="no room here"):
        spare.up(students=1)
    assert not spare.is_up()
    assert not (spare.directory / "vms").exists() or not os.listdir(spare.directory / "vms")
    spare.down()
    assert not spare.directory.exists()
