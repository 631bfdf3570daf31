"""Two equal machines, and each tool's run of a playbook on them: shared by the oracle's tests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from vms import LABCTL, environment

from labctl.playbook.modules import BY_NAME
from labctl.sandbox import Sandbox

HERE = Path(__file__).parent
ANSIBLE = Path(sys.executable).with_name("ansible-playbook")

#: Where a machine keeps what a run registered.
TOLD = "/run/labctl-oracle.json"
#: A task's name and how it ended.
Outcome = tuple[str, str]


@dataclass
class Pair:
    """Two machines that were equal at the beginning."""

    box: Sandbox
    scratch: Path

    def ansible(self, playbook: Path, host: str, *options: str) -> list[Outcome]:
        """The outcomes on one host, in order."""
        return self.ansible_on(playbook, [host], *options)[host]

    def ansible_on(self, playbook: Path, hosts: Sequence[str], *options: str) -> dict[str, list[Outcome]]:
        """The outcomes of a run over several hosts, by host."""
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
            [ANSIBLE, "-i", self.box.inventory_path, "--limit", ",".join(hosts), *options, playbook],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        lines = [json.loads(line) for line in record.read_text().splitlines()]
        return {
            host: [
                (line["task"], line["status"])
                for line in lines
                if line["host"] == host and line["task"] != "Gathering Facts"
            ]
            for host in hosts
        }

    def labctl(self, playbook: Path, host: str, *options: str) -> list[Outcome]:
        return self.labctl_on(playbook, [host], *options)[host]

    def labctl_on(self, playbook: Path, hosts: Sequence[str], *options: str) -> dict[str, list[Outcome]]:
        done = subprocess.run(
            [
                *LABCTL,
                "setup",
                *hosts,
                "--playbook",
                playbook,
                "-i",
                self.box.inventory_path,
                "--json",
                *options,
            ],
            env=environment(),
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        told = json.loads(done.stdout)["hosts"]
        return {one["host"]: [(task["name"], task["status"]) for task in one["tasks"]] for one in told}

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
