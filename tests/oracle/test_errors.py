"""Wrong playbooks and inventories: labctl's message, its place beside Ansible's, and that nothing is sent.

Each file of ``errors/`` begins with what is expected::

    # labctl: [FILE:]LINE:COLUMN: a part of the message
    # right: a part of the hint, of what would be right
    # ansible: same | LINE, what Ansible points at instead and why labctl's is better | silent, why

``same`` is the same line as the innermost ``Origin`` that ansible-core prints.
"""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HERE = Path(__file__).parent / "errors"
CASES = sorted(HERE.glob("*.yml"))
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")
GOOD = "- hosts: all\n  gather_facts: false\n  tasks:\n    - ping:\n"
VM = "all: {{hosts: {{vm: {{ansible_host: 127.0.0.1, ansible_port: {port}, lab_user: amy}}}}}}\n"

pytestmark = [pytest.mark.slow, pytest.mark.timeout(700)]


@dataclass(frozen=True)
class Expected:
    file: Path
    line: int
    column: int
    message: str
    right: str
    ansible: str


def expected(case: Path) -> Expected:
    said = dict(re.findall(r"^# (labctl|right|ansible): (.*)$", case.read_text(), re.MULTILINE))
    found = re.fullmatch(r"(?:([^:]+):)?(\d+):(\d+): (.*)", said["labctl"])
    assert found is not None, said
    file = HERE / found[1] if found[1] else case
    return Expected(file, int(found[2]), int(found[3]), found[4], said.get("right", ""), said["ansible"])


@dataclass
class World:
    """An inventory with one VM, whose address counts those who connect, and a playbook that is right."""

    listener: socket.socket
    inventory: Path
    playbook: Path

    def files(self, case: Path) -> list[str]:
        is_inventory = ".inventory." in case.name
        inventory, playbook = (case, self.playbook) if is_inventory else (self.inventory, case)
        return ["-i", str(inventory), str(playbook)]

    def connections(self) -> int:
        count = 0
        while True:
            try:
                self.listener.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        inventory, playbook = tmp_path / "hosts.yml", tmp_path / "good.yml"
        inventory.write_text(VM.format(port=listener.getsockname()[1]))
        playbook.write_text(GOOD)
        yield World(listener, inventory, playbook)


def labctl(world: World, case: Path) -> subprocess.CompletedProcess[str]:
    *inventory, playbook = world.files(case)
    return subprocess.run(
        [sys.executable, "-m", "labctl", "setup", "vm", *inventory, "--playbook", playbook],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_listener_would_see_a_connection(world: World) -> None:
    done = labctl(world, world.playbook)
    assert done.returncode == 3
    assert world.connections() == 1


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_the_mistake_is_named_at_its_place_and_nothing_is_sent(world: World, case: Path) -> None:
    right = expected(case)
    done = labctl(world, case)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert "Traceback" not in done.stderr
    first, *rest = done.stderr.splitlines()
    assert first.startswith(f"labctl: {right.file}:{right.line}:{right.column}: "), done.stderr
    assert right.message in first
    assert [line for line in rest if line.startswith("labctl:")] == []
    lines = right.file.read_text().splitlines()
    if right.line <= len(lines):
        # The line itself, and a mark below the column.
        assert rest[0].strip() == lines[right.line - 1].expandtabs(1).strip()
        assert rest[1].index("^") - 4 == right.column - 1
    assert right.right in done.stderr
    assert world.connections() == 0


@pytest.mark.parametrize("case", CASES, ids=lambda path: path.stem)
def test_ansible_points_at_the_same_line_or_a_worse_one(world: World, case: Path, tmp_path: Path) -> None:
    right = expected(case)
    done = subprocess.run(
        [ANSIBLE, "--check", "-c", "local", *world.files(case)],
        env={
            **os.environ,
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
            "ANSIBLE_HOME": str(tmp_path / "home"),
        },
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    said = done.stdout + done.stderr
    origins = [int(line) for line in re.findall(rf"Origin: {re.escape(str(case))}:(\d+)", said)]
    if right.ansible == "same":
        assert origins[-1:] == [right.line], said
        return
    where, _, reason = right.ansible.partition(", ")
    assert reason
    assert [str(line) for line in origins[-1:]] == ([] if where == "silent" else [where]), said
    if where != "silent" and right.file == case:
        assert int(where) != right.line
    if where == "silent":
        assert done.returncode == 0
