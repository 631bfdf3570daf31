"""A VM that only a jump host reaches: the same inventory and ssh_config for labctl and for ansible-core."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from vms import NAME, STAFF, STUDENT, labctl

from labctl.sandbox import Sandbox

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]

#: The VMs' own network, where this machine has no address.
INSIDE = "10.77.0.11"
PLAYBOOK = """
- hosts: students
  become: true
  tasks:
    - copy: {dest: /etc/behind, content: "a jump host\\n"}
    - command: ss -Htn state established sport = 22
      register: seen
      changed_when: false
    - assert: {that: "' 10.77.0.2:' in seen.stdout.replace('\\\\t', ' ')"}
"""


@pytest.fixture(scope="module")
def inventory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The sandbox's, but the student's VM has its address inside."""
    box = Sandbox.open(f"{NAME}-jump")
    box.down()
    directory = tmp_path_factory.mktemp("jump")
    try:
        box.up(students=1, driver="nspawn")
        document = yaml.safe_load(box.inventory_path.read_text())
        everywhere = document["all"]["vars"]
        groups = document["all"]["children"]
        student, staff = groups["students"]["hosts"][STUDENT], groups["staff"]["hosts"][STAFF]
        config = directory / "ssh_config"
        config.write_text(
            f"Host {INSIDE}\n ProxyJump way\n HostKeyAlias {student['ansible_host']}\n"
            f"Host way\n HostName {staff['ansible_host']}\n User {staff['ansible_user']}\n"
            f"Host *\n IdentityFile {everywhere['ansible_ssh_private_key_file']}\n IdentitiesOnly yes\n"
            f" UserKnownHostsFile {everywhere['labctl_known_hosts']}\n"
        )
        everywhere["ansible_ssh_common_args"] = f"-F {config}"
        student["ansible_host"] = INSIDE
        path = directory / "inventory.yml"
        path.write_text(yaml.safe_dump(document))
        yield path
    finally:
        box.down()


def test_labctl_and_ansible_go_the_same_way(inventory: Path) -> None:
    playbook = inventory.with_name("play.yml")
    playbook.write_text(PLAYBOOK)
    listed = labctl("hosts", "list", STUDENT, "-i", str(inventory), "--json")
    (row,) = json.loads(listed.stdout)["hosts"]
    assert (row["address"], len(row["via"])) == (INSIDE, 1)
    done = labctl("setup", STUDENT, "-i", str(inventory), "--playbook", str(playbook), "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    told = subprocess.run(
        [Path(sys.executable).with_name("ansible-playbook"), "-i", inventory, "--limit", STUDENT, playbook],
        env={**os.environ, "ANSIBLE_HOME": str(inventory.parent / "ansible"), "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert told.returncode == 0, told.stdout + told.stderr
    assert "changed=0" in told.stdout
