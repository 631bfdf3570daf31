"""What a run gives: a result per task, a summary per VM, and the document of ``setup --json``."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from labctl import vault
from labctl.playbook.diffs import unified_diff
from labctl.vault import MASK

Status = Literal["ok", "changed", "failed", "skipped", "unreachable"]

# Files of one task whose differences are shown.
_MOST_DIFFS = 20
# Text that a report keeps of one task; the whole is only in registered variables.
_KEEP = 8000
_SECRET_WORDS = ("password", "passwd", "secret", "token", "private_key", "passphrase", "authorization")
# Keys of a mapping that is shown as a diff.
_MOST_KEYS = 10_000
# Parameters whose names only sound like it.
_NO_SECRETS = frozenset({"update_password", "password_lock"})
_ACCOUNT = re.compile(r"(?<=://)[^/@\s]+@")


@dataclass(frozen=True)
class TaskResult:
    """One task on one VM. ``place`` is ``file:line:column`` of the task."""

    name: str
    module: str
    status: Status
    msg: str = ""
    diff: str = ""
    seconds: float = 0.0
    place: str = ""
    args: Mapping[str, Any] = field(default_factory=dict)
    stdout: str = ""
    stderr: str = ""
    rc: int | None = None
    ignored: bool = False
    handler: bool = False
    items: tuple[Mapping[str, Any], ...] = ()

    def document(self, *, verbose: bool = False) -> dict[str, Any]:
        """The documented keys always, the others when they say something, or ``verbose`` wants them.

        What vaults held is masked.
        """
        shown: dict[str, Any] = {
            "name": self.name,
            "module": self.module,
            "status": self.status,
            "diff": self.diff,
            "msg": self.msg,
            "seconds": round(self.seconds, 3),
            "place": self.place,
        }
        if verbose or self.status in ("failed", "unreachable"):
            shown.update(args=dict(self.args), stdout=self.stdout, stderr=self.stderr)
        if self.rc is not None:
            shown["rc"] = self.rc
        if self.ignored:
            shown["ignored"] = True
        if self.handler:
            shown["handler"] = True
        if self.items:
            shown["items"] = [dict(item) for item in self.items]
        masked_all: dict[str, Any] = vault.masked(shown)
        return masked_all


@dataclass
class HostRun:
    """One VM's part of a run, filled while it goes on."""

    host: str
    tasks: list[TaskResult] = field(default_factory=list)
    error: str | None = None
    cause: str | None = None
    hint: str = ""
    failed: bool = False
    seconds: float = 0.0
    connections: int = 0
    round_trips: int = 0

    @property
    def status(self) -> str:
        if self.error is not None:
            return "unreachable"
        return "failed" if self.failed else "ok"

    @property
    def over(self) -> bool:
        """Whether this VM takes no further part."""
        return self.failed or self.error is not None

    def count(self, *statuses: str) -> int:
        return sum(1 for task in self.tasks if task.status in statuses)

    def document(self, *, verbose: bool = False) -> dict[str, Any]:
        """The summary and every task."""
        return {**self.summary(), "tasks": [task.document(verbose=verbose) for task in self.tasks]}

    def summary(self) -> dict[str, Any]:
        """``ok`` counts as in Ansible's recap: what went well, changed or not, and ignored failures."""
        ignored = sum(1 for task in self.tasks if task.ignored)
        return {
            "host": self.host,
            "status": self.status,
            "error": vault.masked(self.error),
            "cause": self.cause,
            "hint": vault.masked(self.hint),
            "ok": self.count("ok", "changed") + ignored,
            "changed": self.count("changed"),
            "failed": self.count("failed") - ignored,
            "skipped": self.count("skipped"),
            "ignored": ignored,
            "seconds": round(self.seconds, 3),
            "connections": self.connections,
            "round_trips": self.round_trips,
        }


@dataclass(frozen=True)
class RunResult:
    """A whole run."""

    playbook: str
    hosts: Sequence[HostRun]
    check: bool = False
    interrupted: bool = False

    @property
    def exit_status(self) -> int:
        """0 all well, 1 a task failed, 3 a VM could not be reached."""
        if self.interrupted:
            return 130
        if any(host.error is not None for host in self.hosts):
            return 3
        return 1 if any(host.failed for host in self.hosts) else 0

    def document(self, *, verbose: bool = False) -> dict[str, Any]:
        """What ``setup --json`` prints; ``verbose`` adds each task's arguments and output."""
        return {**self.summary(), "hosts": [host.document(verbose=verbose) for host in self.hosts]}

    def summary(self) -> dict[str, Any]:
        """The document without the tasks."""
        return {
            "schema": 1,
            "playbook": self.playbook,
            "check": self.check,
            "interrupted": self.interrupted,
            "hosts": [host.summary() for host in self.hosts],
        }


def unified(diff: Any) -> str:
    """Ansible's before/after documents as one unified diff."""
    parts = []
    for one in diff[:_MOST_DIFFS] if isinstance(diff, list) else [diff]:
        if not isinstance(one, Mapping):
            continue
        if one.get("prepared"):
            parts.append(str(one["prepared"]))
            continue
        before, after = _side(one.get("before")), _side(one.get("after"))
        if before == after:
            continue
        names = (
            f"before: {one.get('before_header', '')}".rstrip(": "),
            f"after: {one.get('after_header', '')}".rstrip(": "),
        )
        lines = unified_diff(before, after, names)
        parts.append("".join(line if line.endswith("\n") else line + "\n" for line in lines))
    return "".join(parts)


def _side(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return "".join(f"{key}: {value[key]}\n" for key in sorted(value)[:_MOST_KEYS])
    return str(value)


def kept(value: Any) -> str:
    """Text from a VM, cut to what a report keeps: the end matters most in an error."""
    text = value if isinstance(value, str) else ""
    return text if len(text) <= _KEEP else f"... ({len(text) - _KEEP} characters before)\n{text[-_KEEP:]}"


def _sounds_secret(name: str) -> bool:
    return name not in _NO_SECRETS and any(word in name.lower() for word in _SECRET_WORDS)


def masked(args: Mapping[str, Any], secret: frozenset[str] = frozenset()) -> dict[str, Any]:
    """Arguments fit to be shown: secrets replaced, long values cut."""
    shown: dict[str, Any] = {}
    for name, value in args.items():
        if str(name).startswith("_"):
            continue
        if name in secret or _sounds_secret(str(name)):
            shown[name] = MASK
        elif isinstance(value, Mapping):
            shown[name] = masked(value)
        elif isinstance(value, str):
            text = _ACCOUNT.sub(f"{MASK}@", value)
            shown[name] = text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"
        else:
            shown[name] = value
    return shown
