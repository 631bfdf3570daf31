"""What ansible-playbook is started with: arguments, environment, and files in one temporary directory."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl import vault
from labctl.inventory import Host, Inventory
from labctl.playbook.engine import RunOptions

_OVERLAID = ("templates", "files")
_STRICT = "-o StrictHostKeyChecking=yes"


@dataclass(frozen=True)
class Source:
    """A playbook file, and the course whose ``templates`` and ``files`` its tasks may name."""

    path: Path
    course: Path | None = None


class Workspace:
    """The files of one run in ``root``, an empty directory that is only the user's own.

    ``arguments`` are ansible-playbook's. ``origin`` turns a path that Ansible reports into the user's.
    """

    def __init__(
        self,
        root: Path,
        sources: Sequence[Source],
        inventory: Inventory,
        hosts: Sequence[Host],
        options: RunOptions,
    ) -> None:
        self.root = root
        self._mirrors: dict[Path, Path] = {}
        (root / "cp").mkdir()
        (root / "runner").mkdir()
        self.arguments = [
            *self._inventory(inventory, hosts),
            *self._options(hosts, options),
            *(str(self._playbook(source)) for source in sources),
        ]

    def environment(self, course: Path | None, environ: Mapping[str, str] = os.environ) -> dict[str, str]:
        """Settings that hold whatever an ansible.cfg says: host keys are checked, nothing is left behind.

        The course's own ansible.cfg is used unless ANSIBLE_CONFIG names another; without either, Ansible
        looks for one as always.
        """
        settings = {
            "ANSIBLE_DISPLAY_ARGS_TO_STDOUT": "1",  # which arguments a task gives; the user is shown ours
            "ANSIBLE_HOST_KEY_CHECKING": "1",
            "ANSIBLE_LOCAL_TEMP": str(self.root / "local"),
            # As for labctl's agent; the inventory's ansible_python_interpreter wins over it.
            "ANSIBLE_PYTHON_INTERPRETER": environ.get("ANSIBLE_PYTHON_INTERPRETER", "python3"),
            "ANSIBLE_RETRY_FILES_ENABLED": "0",
            "ANSIBLE_SSH_ARGS": f"-C -o ControlMaster=auto -o ControlPersist=60s -o BatchMode=yes {_STRICT}",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(self.root / "cp"),
        }
        own = course / "ansible.cfg" if course else None
        if own and own.is_file() and "ANSIBLE_CONFIG" not in environ:
            settings["ANSIBLE_CONFIG"] = str(own)
        return settings

    def origin(self, path: str) -> str:
        """The user's name of a file that Ansible may know under this directory."""
        for mirror, original in self._mirrors.items():
            if path.startswith(f"{mirror}/"):
                return f"{original}{path[len(str(mirror)) :]}"
        return path

    def close_connections(self) -> None:
        """End the SSH connections that Ansible keeps open for a while for its next run."""
        for socket in (self.root / "cp").iterdir():
            command = ["ssh", "-q", "-o", f"ControlPath={socket}", "-O", "exit", "labctl"]
            try:
                subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=3, check=False)
            except (OSError, subprocess.TimeoutExpired):
                return  # they end by themselves a minute later

    def _inventory(self, inventory: Inventory, hosts: Sequence[Host]) -> Iterator[str]:
        """The user's inventory, and after it, so that it wins, what the command line and labctl add."""
        added = {host.name: _added(host, inventory) for host in hosts}
        # Ansible reads no class lists: their hosts are written out, with their groups.
        listed = [host for host in inventory.hosts.values() if host.file and host.file.suffix == ".csv"]
        groups: dict[str, Any] = {}
        for host in listed:
            added[host.name] = {**host.variables, **added.get(host.name, {})}
            for group in host.groups:
                groups.setdefault(group, {"hosts": {}})["hosts"][host.name] = {}
        path = self._write("labctl-hosts.json", {"all": {"hosts": added, "children": groups}})
        for read in inventory.paths:
            if read.suffix != ".csv":
                yield from ("-i", str(read))
        yield from ("-i", str(path))

    def _options(self, hosts: Sequence[Host], options: RunOptions) -> Iterator[str]:
        limit = self.root / "limit"
        limit.write_text("".join(f"{host.name}\n" for host in hosts), encoding="utf-8")
        yield from ("--limit", f"@{limit}", "--forks", str(options.forks))
        if options.check:
            yield "--check"
        if options.diff:
            yield "--diff"
        if options.verbosity:
            yield f"-{'v' * options.verbosity}"
        if options.tags:
            yield from ("--tags", ",".join(options.tags))
        if options.skip_tags:
            yield from ("--skip-tags", ",".join(options.skip_tags))
        for password in vault.passwords():
            yield from ("--vault-id", f"{password.label}@{password.source}")
        if options.extra_vars:
            yield from ("--extra-vars", f"@{self._write('extra-vars.json', options.extra_vars)}")

    def _write(self, name: str, document: Any) -> Path:
        path = self.root / name
        path.write_text(json.dumps(document, default=str), encoding="utf-8")
        return path

    def _playbook(self, source: Source) -> Path:
        """Where Ansible finds the playbook: in its place, or, of a course, in a mirror of the course.

        Ansible looks for templates and files beside the playbook only. In the mirror, made of links, the
        course's are there too, after the playbook's own.
        """
        path = source.path.resolve()
        course = source.course
        if course is None or path.parent == course or not path.is_relative_to(course):
            return path
        mirror = self.root / "course"
        folder = path.parent.relative_to(course)
        here = mirror / folder
        if not here.exists():
            self._mirrors[mirror] = course
            _link_around(mirror, course, folder)
            for kind in _OVERLAID:
                (here / kind).unlink(missing_ok=True)
                beside = (path.parent, course, course / "templates")
                _overlay(here / kind, [one for place in beside for one in (place / kind, place)])
        return here / path.name


def _added(host: Host, inventory: Inventory) -> dict[str, Any]:
    known = inventory.hosts.get(host.name)
    before = known.variables if known else {}
    added = {
        name: value for name, value in host.variables.items() if name not in before or before[name] != value
    }
    if not host.is_local:
        # ssh takes the first of two values.
        options = [f"-o UserKnownHostsFile={host.known_hosts}"] if host.known_hosts else []
        given = host.value("ansible_ssh_common_args", "")
        added["ansible_ssh_common_args"] = " ".join([*options, _STRICT, str(given)]).rstrip()
    return added


def _link_around(mirror: Path, course: Path, folder: Path) -> None:
    """``mirror`` as a copy of ``course`` made of links; only ``folder`` and what holds it are real."""
    inner = mirror
    outer = course
    for part in (*folder.parts, None):
        inner.mkdir(exist_ok=True)
        for entry in outer.iterdir():
            if entry.name != part and not (inner / entry.name).exists():
                (inner / entry.name).symlink_to(entry)
        if part is not None:
            inner, outer = inner / part, outer / part


def _overlay(target: Path, layers: Sequence[Path]) -> None:
    """A directory of links to what is in ``layers``, the first of two equal names winning."""
    target.mkdir()
    found: dict[str, list[Path]] = {}
    for layer in layers:
        if layer.is_dir():
            for entry in layer.iterdir():
                found.setdefault(entry.name, []).append(entry)
    for name, entries in found.items():
        first = entries[0]
        folders = [entry for entry in entries if entry.is_dir()]
        if first.is_dir() and len(folders) > 1:
            _overlay(target / name, folders)
        else:
            (target / name).symlink_to(first)
