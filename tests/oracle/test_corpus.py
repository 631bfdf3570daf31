"""The same playbook by ansible-core and by labctl on two fresh machines: the same machine, the same word.

Each playbook of ``corpus/`` runs by ansible-playbook on student1 and by labctl on student2, in check mode and
then for real. Each task's status in both, what was registered (as far as Ansible documents it), file trees,
packages and units are compared, and each tool runs over the other's result, where nothing may be left
to change.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from vms import LABCTL, NAME, environment

from labctl.playbook.modules import BY_NAME
from labctl.sandbox import Sandbox

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]

HERE = Path(__file__).parent
CORPUS = sorted((HERE / "corpus").glob("*.yml"))
BY_ANSIBLE, BY_LABCTL = "student1", "student2"
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")

TOLD = "/run/labctl-oracle.json"
#: Returned values that two runs never have in common, or that are the two tools' own words.
PASSING = {
    "start",
    "end",
    "delta",
    "elapsed",
    "attempts",
    "atime",
    "mtime",
    "ctime",
    "inode",
    "dev",
    "version",
    "src",
    "backup_file",
    "cache_update_time",
    "date",
    "diff",
    "msg",
    "stdout_lines",
    "stderr_lines",
    "password",
    "ssh_public_key",
}
#: What every result has, documented nowhere.
COMMON = frozenset({"changed", "failed", "skipped", "rc", "stdout", "stderr", "cmd"})

Outcome = tuple[str, str]


@dataclass
class Pair:
    """Two machines that were equal at the beginning."""

    box: Sandbox
    scratch: Path

    def ansible(self, playbook: Path, host: str, *words: str) -> list[Outcome]:
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
            [ANSIBLE, "-i", self.box.inventory_path, "--limit", host, playbook, *words],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        return [(line["task"], line["status"]) for line in lines if line["task"] != "Gathering Facts"]

    def labctl(self, playbook: Path, host: str, *words: str) -> list[Outcome]:
        done = subprocess.run(
            [*LABCTL, "setup", host, "--playbook", playbook, "-i", self.box.inventory_path, "--json", *words],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (told,) = json.loads(done.stdout)["hosts"]
        return [(task["name"], task["status"]) for task in told["tasks"]]

    def telling(self, playbook: Path) -> Path:
        """The playbook with a last task that keeps everything registered on the machine."""
        folder = self.scratch / "corpus"
        if not folder.exists():
            shutil.copytree(HERE / "corpus", folder)
        words = ", ".join(f"'{name}': {name} | default(none)" for name in sorted(registers(playbook)))
        play = {
            "hosts": "students",
            "become": True,
            "gather_facts": False,
            "tasks": [
                {
                    "name": "Registered",
                    "copy": {"content": f"{{{{ {{ {words} }} | to_json }}}}", "dest": TOLD, "mode": "0600"},
                }
            ],
        }
        made = folder / f"telling-{playbook.name}"
        made.write_text(playbook.read_text() + yaml.safe_dump([play], width=10_000))
        return made

    def told(self, host: str) -> dict[str, Any]:
        """What :meth:`telling` kept, with the host's name and the other machine's left out."""
        done = self.box.run(host, f"sudo cat {TOLD}", timeout=60)
        assert done.status == 0, done.stderr
        return dict(json.loads(done.stdout.replace(host, "STUDENT")))

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


def changing(outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one[1] not in ("ok", "skipped")]


def tasks_of(playbook: Path) -> Iterator[dict[str, Any]]:
    for play in yaml.safe_load(playbook.read_text()):
        todo = [*play.get("tasks", []), *play.get("handlers", [])]
        while todo:
            task = todo.pop(0)
            yield task
            todo[:0] = [inner for word in ("block", "rescue", "always") for inner in task.get(word, [])]


def registers(playbook: Path) -> dict[str, str]:
    """Each registered name with its task's module."""
    found = {}
    for task in tasks_of(playbook):
        if "register" in task:
            (found[task["register"]],) = (word for word in task if word in BY_NAME)
    return found


def documented(module: str) -> set[str]:
    """The names of the values that Ansible documents as returned."""
    collection, _, name = BY_NAME[module].full_name.rpartition(".")
    package = (
        "ansible.modules"
        if collection == "ansible.builtin"
        else f"ansible_collections.{collection}.plugins.modules"
    )
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for folder in spec.submodule_search_locations:
        tree = ast.parse(Path(folder, f"{name}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RETURN":
                return set(yaml.safe_load(ast.literal_eval(node.value)) or {})
    return set()


def untold(name: str, names: set[str] | None, left: Any, right: Any) -> Iterator[str]:
    """A line for each value of ``left`` (ansible's) that ``right`` has not; of ``names`` only, if given."""
    if not isinstance(left, dict) or not isinstance(right, dict):
        if left != right:
            yield f"{name}: ansible {left!r}, labctl {right!r}"
        return
    for key, value in left.items():
        if key in PASSING or key.startswith("_"):
            continue
        if key == "results":
            for index, (one, other) in enumerate(zip(value, right.get(key, []), strict=True)):
                yield from untold(f"{name}[{index}]", names, one, other)
        elif names is None or key in names:
            yield from untold(f"{name}.{key}", None, value, right.get(key, "(nothing)"))


def test_the_comparison_sees_a_difference(pair: Pair) -> None:
    assert differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL)) == []
    pair.box.run(BY_LABCTL, "sudo install -m 600 /dev/null /etc/odd")
    (line,) = differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL))
    assert line.startswith("/etc/odd: ansible None, labctl {")
    pair.box.run(BY_LABCTL, "sudo rm /etc/odd")


def test_the_comparison_of_results_sees_a_difference() -> None:
    left = {"changed": True, "mode": "0644", "start": "1", "stat": {"size": 1, "mtime": 3}, "own": 1}
    assert (
        list(untold("x", {"mode", "stat", "changed"}, left, {**left, "start": "2", "own": 2, "more": 1}))
        == []
    )
    assert list(untold("x", {"mode", "stat"}, left, {**left, "mode": None, "stat": {}})) == [
        "x.mode: ansible '0644', labctl None",
        "x.stat.size: ansible 1, labctl '(nothing)'",
    ]
    assert {"dest", "checksum", "mode"} <= documented("copy")


@pytest.mark.parametrize("playbook", CORPUS, ids=lambda path: path.stem)
def test_both_tools_leave_the_same_machine(pair: Pair, playbook: Path) -> None:
    telling = pair.telling(playbook)
    expected = pair.ansible(playbook, BY_ANSIBLE, "--check")
    foreseen = pair.labctl(playbook, BY_LABCTL, "--check")
    # Where ansible fails because an earlier task did nothing, labctl may say more.
    assert [one for one, other in zip(foreseen, expected, strict=True) if other[1] != "failed"] == [
        one for one in expected if one[1] != "failed"
    ]
    by_ansible = pair.ansible(telling, BY_ANSIBLE)
    by_labctl = pair.labctl(telling, BY_LABCTL)
    assert by_labctl == by_ansible
    left, right = pair.told(BY_ANSIBLE), pair.told(BY_LABCTL)
    lines = [
        line
        for name, module in registers(playbook).items()
        for line in untold(name, documented(module) | COMMON, left[name], right[name])
    ]
    assert not lines, "\n".join(lines)
    assert differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL)) == []
    assert changing(pair.labctl(playbook, BY_ANSIBLE)) == []
    assert changing(pair.ansible(playbook, BY_LABCTL)) == []
