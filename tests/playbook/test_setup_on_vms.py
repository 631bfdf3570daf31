"""Setup and reset of the lab on the two real VMs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vms import STAFF, STUDENT, Machines, labctl

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

# Everything that setup would touch, with its content, and what is installed and listening.
FINGERPRINT = """sudo sh -c '
find /etc /opt /mnt /usr/sbin -xdev -type f -printf "%p %u %g %m %s %T@\\n" | sort | sha256sum
sha256sum /var/lib/dpkg/status; ufw status; cut -d" " -f1-3 /proc/mounts
systemctl list-units --no-legend --plain --state=running | cut -d" " -f1 | grep -v -e session -e user'
"""


def setup(*args: str, status: int = 0) -> list[dict[str, Any]]:
    done = labctl("setup", *args, "--json", timeout=1500)
    assert done.returncode == status, done.stdout + done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == 1
    return list(document["hosts"])


def test_check_mode_on_bare_vms_changes_nothing(bare: Machines) -> None:
    before = [bare.run(FINGERPRINT, vm=vm).stdout for vm in (STAFF, STUDENT)]
    hosts = setup(STAFF, STUDENT, "--check", "--diff")
    assert [host["status"] for host in hosts] == ["ok", "ok"]
    assert all(host["changed"] > 5 for host in hosts)
    assert [bare.run(FINGERPRINT, vm=vm).stdout for vm in (STAFF, STUDENT)] == before


def test_a_second_run_changes_nothing_and_costs_one_connection(provisioned: Machines) -> None:
    before = {vm: provisioned.logins(vm) for vm in (STAFF, STUDENT)}
    hosts = setup(STAFF, STUDENT)
    for host in hosts:
        assert (host["status"], host["changed"], host["failed"]) == ("ok", 0, 0), host
        # one for the setup, and one for looking
        assert provisioned.logins(host["host"]) - before[host["host"]] == 2
        assert host["connections"] == 1
        assert host["round_trips"] <= 5
    assert max(host["round_trips"] for host in hosts) <= 2


def test_the_lab_stands(provisioned: Machines) -> None:
    assert "made by student1" in provisioned.run("cat /mnt/student1.txt").stdout
    seen = provisioned.run("cat /opt/lab7/private/student1/student1.txt", vm=STAFF).stdout
    assert "made by student1" in seen
    assert provisioned.run("dig +short @127.0.0.1 test.example.com").stdout == "93.184.216.34\n"
    assert "active" in provisioned.run("systemctl is-active named haproxy lab7-workers").stdout


def test_a_refused_validation_leaves_the_file_and_the_service(provisioned: Machines, tmp_path: Path) -> None:
    playbook = tmp_path / "broken.yml"
    playbook.write_text(
        "- hosts: students\n"
        "  become: true\n"
        "  tasks:\n"
        "    - copy:\n"
        "        content: 'zone {'\n"
        "        dest: /etc/bind/named.conf.local\n"
        "        validate: named-checkconf %s\n"
        "    - command: systemctl stop named\n"
    )
    before = provisioned.run("sudo sha256sum /etc/bind/named.conf.local; ls -lA --full-time /etc/bind").stdout
    (host,) = setup(STUDENT, "--playbook", str(playbook), status=1)
    assert [task["status"] for task in host["tasks"]] == ["failed"]
    (task,) = host["tasks"]
    assert "refused" in task["msg"]
    assert "named.conf.local:1" in task["stdout"] + task["stderr"]
    assert task["place"] == f"{playbook}:4:7"
    assert (
        provisioned.run("sudo sha256sum /etc/bind/named.conf.local; ls -lA --full-time /etc/bind").stdout
        == before
    )
    assert "active" in provisioned.run("systemctl is-active named").stdout


def test_a_held_apt_lock_is_named_and_waited_for(provisioned: Machines, tmp_path: Path) -> None:
    playbook = tmp_path / "more.yml"
    playbook.write_text(
        "- hosts: students\n  become: true\n  tasks:\n    - apt: {name: curl, lock_timeout: 3}\n"
    )
    holder = (
        "sudo systemd-run --unit=holder python3 -c "
        '\'import fcntl,time;f=open("/var/lib/dpkg/lock-frontend","w");'
        "fcntl.lockf(f,fcntl.LOCK_EX);time.sleep(600)'"
    )
    provisioned.run(holder)
    provisioned.run(
        "for n in $(seq 30); do sudo fuser -s /var/lib/dpkg/lock-frontend && break; sleep 1; done; true"
    )
    (host,) = setup(STUDENT, "--playbook", str(playbook), status=1)
    assert "python3 -c import fcntl" in host["tasks"][0]["msg"]
    assert "/var/lib/dpkg/lock-frontend" in host["tasks"][0]["msg"]
    provisioned.run("sudo systemctl stop holder")
    (host,) = setup(STUDENT, "--playbook", str(playbook))
    assert host["changed"] == 1


def test_an_interrupted_dpkg_is_repaired(provisioned: Machines, tmp_path: Path) -> None:
    playbook = tmp_path / "more.yml"
    playbook.write_text("- hosts: students\n  become: true\n  tasks:\n    - apt: {name: curl}\n")
    # As a killed dpkg leaves it: unpacked, not configured, and a numbered file of updates.
    provisioned.run("cd /tmp && sudo dpkg --unpack /var/cache/apt/archives/curl_*.deb")
    provisioned.run("sudo touch /var/lib/dpkg/updates/0001")
    (host,) = setup(STUDENT, "--playbook", str(playbook))
    assert host["changed"] == 1
    provisioned.run("curl --version && dpkg -s curl | grep -q 'install ok installed'")
    (host,) = setup(STUDENT, "--playbook", str(playbook))
    assert host["changed"] == 0


def test_a_vm_without_python_is_named_when_apt_cannot_help(bare: Machines) -> None:
    # Hidden rather than removed: apt then thinks that it is installed, the harder case.
    bare.run("sudo mv /usr/bin/python3 /usr/bin/python3.hidden")
    (host,) = setup(STUDENT, "--tags", "base", status=3)
    assert (host["status"], host["cause"], host["tasks"]) == ("unreachable", "python-missing", [])
    assert "python3" in host["error"]
    assert host["hint"]


def test_reset_takes_the_lab_off_and_then_has_nothing_to_do(provisioned: Machines) -> None:
    for changed in (True, False):
        done = labctl("reset", STAFF, STUDENT, "--json", timeout=1500)
        assert done.returncode == 0, done.stdout + done.stderr
        for host in json.loads(done.stdout)["hosts"]:
            assert (host["status"], host["changed"] > 0) == ("ok", changed), host
    assert "/mnt" not in provisioned.run("cat /proc/mounts /etc/fstab").stdout
    gone = provisioned.box.run(
        STUDENT, "ls -d /etc/bind /etc/haproxy /opt/lab7 /etc/systemd/system/lab7-workers.service"
    )
    assert gone.stdout == ""
    assert "inactive" in provisioned.run("sudo ufw status").stdout


def test_a_vm_is_rebooted_and_found_again(bare: Machines, tmp_path: Path) -> None:
    playbook = tmp_path / "reboot.yml"
    playbook.write_text(
        "- hosts: students\n  become: true\n  gather_facts: false\n  tasks:\n"
        "    - command: cat /proc/sys/kernel/random/boot_id\n      register: before\n"
        "    - reboot: {reboot_timeout: 300}\n      register: done\n"
        "    - command: cat /proc/sys/kernel/random/boot_id\n      register: after\n"
        "    - assert: {that: [before.stdout != after.stdout, done.rebooted]}\n"
    )
    (host,) = setup(STUDENT, "--playbook", str(playbook))
    # one before and one after, and each look in which it answered and had not gone down yet
    assert 2 <= host["connections"] <= 4
    assert [task["status"] for task in host["tasks"]] == ["changed", "changed", "changed", "ok"]
