"""Two equal machines, and each tool's run of a playbook on them: shared by the oracle's tests."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import zip_longest
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
    #: Whether the playbook is to fail, by both tools.
    failing: bool = False

    def ansible(self, playbook: Path, host: str, *options: str) -> list[Outcome]:
        """The outcomes on one host, in order."""
        return self.ansible_on(playbook, [host], *options)[host]

    @property
    def here(self) -> dict[str, str]:
        """Where a playbook may write on this computer."""
        return {"ORACLE_HERE": str(self.scratch / "here")}

    def ansible_on(self, playbook: Path, hosts: Sequence[str], *options: str) -> dict[str, list[Outcome]]:
        """The outcomes of a run over several hosts, by host."""
        return self.ansible_series([playbook], hosts, *options)

    def ansible_series(
        self, playbooks: Sequence[Path], hosts: Sequence[str], *options: str, timeout: float = 900
    ) -> dict[str, list[Outcome]]:
        """The same of several playbooks, one after the other.

        ``timeout`` is the whole run's, in seconds.
        """
        record = self.scratch / "record.jsonl"
        record.unlink(missing_ok=True)
        settings = {
            "ANSIBLE_CALLBACKS_ENABLED": "record",
            "ANSIBLE_CALLBACK_PLUGINS": str(HERE / "plugins"),
            "ANSIBLE_HOME": str(self.scratch / "ansible"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            # an emulated VM takes a while to let anybody in
            "ANSIBLE_TIMEOUT": "60",
            "LABCTL_ORACLE_RECORD": str(record),
            "LC_ALL": "C.UTF-8",
            **self.here,
        }
        with connections() as sockets:
            done = subprocess.run(
                [ANSIBLE, "-i", self.box.inventory_path, "--limit", ",".join(hosts), *options, *playbooks],
                env={**os.environ, **settings, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(sockets)},
                capture_output=True,
                text=True,
                timeout=timeout,
                check=False,
            )
        assert done.returncode == (2 if self.failing else 0), done.stdout + done.stderr
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
            env={**environment(), **self.here},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        assert done.returncode == (1 if self.failing else 0), done.stdout + done.stderr
        return outcomes(json.loads(done.stdout))

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
            "tags": "always",
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
        done = self.box.run(host, f"sudo cat {TOLD}", timeout=300)
        assert done.status == 0, done.stderr
        return dict(json.loads(done.stdout.replace(host, "STUDENT")))

    def manifest(self, host: str) -> dict[str, Any]:
        done = self.box.run(
            host, f"sudo python3 - {host}", stdin=(HERE / "manifest.py").read_text(), timeout=300
        )
        assert done.status == 0, done.stderr
        return dict(json.loads(done.stdout))


@contextmanager
def connections() -> Iterator[Path]:
    """Where ansible-playbook keeps its connections open from task to task; at the end they are closed.

    A VM that has gone back to a snapshot does not know them: the next run would wait for an answer.
    """
    with tempfile.TemporaryDirectory(prefix="labctl-cp-") as folder:
        try:
            yield Path(folder)
        finally:
            for socket in Path(folder).iterdir():
                subprocess.run(
                    ["ssh", "-O", "exit", "-S", socket, "whom"], capture_output=True, timeout=30, check=False
                )


def outcomes(document: dict[str, Any]) -> dict[str, list[Outcome]]:
    """How each task of ``labctl setup --json`` ended, by host."""
    return {
        one["host"]: [(task["name"], task["status"]) for task in one["tasks"]] for one in document["hosts"]
    }


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """A line for each thing that is not the same in two manifests; the left is ansible's."""
    files = [
        f"{path}: ansible {left['files'].get(path)}, labctl {right['files'].get(path)}"
        for path in sorted({*left["files"], *right["files"]})
        if left["files"].get(path) != right["files"].get(path)
    ]
    others = [
        f"{kind}: only {who}: {line}"
        for kind in left
        if kind != "files"
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


class _Loader(yaml.SafeLoader):
    """Vaults stay closed."""


_Loader.add_constructor("!vault", lambda _loader, node: node.value)


def options_of(playbook: Path) -> list[str]:
    """What its line ``# options:`` adds to both tools' command lines; paths are below corpus/."""
    found = re.search(r"^# options: (.*)$", playbook.read_text(), re.MULTILINE)
    words = found[1].split() if found else []
    return [str(HERE / "corpus" / word) if word.startswith("parts/") else word for word in words]


def fails(playbook: Path) -> bool:
    """Whether it says of itself that it is to fail."""
    return "\n# fails\n" in playbook.read_text()


def tasks_of(playbook: Path) -> Iterator[dict[str, Any]]:
    for play in yaml.load(playbook.read_text(), _Loader):
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
