"""The same playbook by ansible-core and by labctl on two fresh machines: the same machine, the same word.

Each playbook of ``corpus/`` runs by ansible-playbook on student1 and by labctl on student2. Then the two file
trees, packages, units and each task's status are compared, and each tool runs over the other's result, where
nothing may be left to change.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from vms import LABCTL, NAME, environment

from labctl.sandbox import Sandbox

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*.yml"))
BY_ANSIBLE, BY_LABCTL = "student1", "student2"
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")

Outcome = tuple[str, str]


@dataclass
class Pair:
    """Two machines that were equal at the beginning."""

    box: Sandbox
    scratch: Path

    def ansible(self, playbook: Path, host: str) -> list[Outcome]:
        record = self.scratch / "record.jsonl"
        record.unlink(missing_ok=True)
        settings = {
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "plugins"),
            "ANSIBLE_HOME": str(self.scratch / "ansible"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "LABCTL_ORACLE_RECORD": str(record),
            "LC_ALL": "C.UTF-8",
        }
        done = subprocess.run(
            [ANSIBLE, "-i", self.box.inventory_path, "--limit", host, playbook],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        return [(line["task"], line["status"]) for line in lines if line["task"] != "Gathering Facts"]

    def labctl(self, playbook: Path, host: str) -> list[Outcome]:
        done = subprocess.run(
            [*LABCTL, "setup", host, "--playbook", playbook, "-i", self.box.inventory_path, "--json"],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (told,) = json.loads(done.stdout)["hosts"]
        return [(task["name"], task["status"]) for task in told["tasks"]]

    def manifest(self, host: str) -> dict[str, Any]:
        done = self.box.run(
            host, f"sudo python3 - {host}", stdin=(HERE / "manifest.py").read_text(), timeout=60
        )
        assert done.status == 0, done.stderr
        return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    box = Sandbox.open(f"{NAME}-oracle")
    box.down()
    try:
        box.up(students=2, driver="nspawn")
        yield Pair(box, tmp_path_factory.mktemp("oracle"))
    finally:
        box.down()


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """A line for each thing that is not the same; the left is ansible's."""
    files = [
        f"{path}: ansible {left['files'].get(path)}, labctl {right['files'].get(path)}"
        for path in sorted({*left["files"], *right["files"]})
        if left["files"].get(path) != right["files"].get(path)
    ]
    others = [
        f"{kind}: only {who}: {line}"
        for kind in ("packages", "units", "active")
        for who, mine, other in (("ansible", left, right), ("labctl", right, left))
        for line in sorted({*mine[kind]} - {*other[kind]})
    ]
    return files + others


def listing(by_ansible: list[Outcome], by_labctl: list[Outcome]) -> str:
    """Both runs side by side, for who has to find out why they are not the same."""
    rows = zip_longest(by_ansible, by_labctl, fillvalue=("", ""))
    return "\n" + "\n".join(f"{' ' if left == right else '!'} {left} | {right}" for left, right in rows)


def changing(outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one[1] == "changed"]


def test_the_comparison_sees_a_difference(pair: Pair) -> None:
    assert differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL)) == []
    pair.box.run(BY_LABCTL, "sudo install -m 600 /dev/null /etc/odd")
    (line,) = differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL))
    assert line.startswith("/etc/odd: ansible None, labctl {")
    pair.box.run(BY_LABCTL, "sudo rm /etc/odd")


@pytest.mark.parametrize("playbook", CORPUS, ids=lambda path: path.stem)
def test_both_tools_leave_the_same_machine(pair: Pair, playbook: Path) -> None:
    by_ansible = pair.ansible(playbook, BY_ANSIBLE)
    by_labctl = pair.labctl(playbook, BY_LABCTL)
    assert by_labctl == by_ansible, listing(by_ansible, by_labctl)
    assert differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL)) == []
    assert changing(pair.labctl(playbook, BY_ANSIBLE)) == []
    assert changing(pair.ansible(playbook, BY_LABCTL)) == []
