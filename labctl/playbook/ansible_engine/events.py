"""ansible-runner's events into the records that both engines fill.

An event is a mapping with ``event`` (its kind), ``stdout`` and ``event_data``; a task's result on a host
is ``event_data["res"]``, from the VM: data that is shown and never rendered.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labctl.errors import (
    AuthRefused,
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnknown,
    Place,
    PlaybookError,
    SudoRefused,
    Unreachable,
)
from labctl.playbook.judge import HIDDEN
from labctl.playbook.result import HostRun, Status, TaskResult, kept, masked, unified
from labctl.vault import MASK

_PREFIXES = ("ansible.builtin.", "ansible.legacy.", "ansible.posix.", "community.general.")
_ESCAPES = re.compile(r"\x1b\[[0-9;]*m")
_ORIGIN = re.compile(r"^Origin: (?P<path>.+?):(?P<line>\d+)(?::(?P<column>\d+))?$", re.MULTILINE)
_CAUSES = (
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", HostKeyChanged.cause),
    ("REVOKED HOST KEY DETECTED", HostKeyRevoked.cause),
    ("Host key verification failed", HostKeyUnknown.cause),
    ("Permission denied", AuthRefused.cause),
)
_HINTS = {
    HostKeyChanged.cause: "was the VM reinstalled? Only then replace its line in known_hosts",
    HostKeyRevoked.cause: "this key may be in others' hands: make the VM a new one",
    HostKeyUnknown.cause: "record its key in known_hosts, after comparing the fingerprint",
    AuthRefused.cause: "is your key in the login user's authorized_keys?",
    Unreachable.cause: "is the VM up, and does its firewall allow SSH?",
}
_STATUSES: dict[str, Status] = {
    "runner_on_failed": "failed",
    "runner_item_on_failed": "failed",
    "runner_on_skipped": "skipped",
    "runner_item_on_skipped": "skipped",
}
_DONE = ("runner_on_ok", "runner_on_failed", "runner_on_skipped")
_ITEM = ("runner_item_on_ok", "runner_item_on_failed", "runner_item_on_skipped")


class Translator:
    """Takes events in order and fills ``records``; ``finish`` completes them.

    ``origin`` gives the user's name of a file. ``on_play(name, pattern)``, ``on_task(host, result)`` and
    ``on_lost(host, cause, message, hint)`` are called as things happen.
    """

    def __init__(
        self,
        records: Mapping[str, HostRun],
        *,
        origin: Callable[[str], str] = str,
        on_play: Callable[[str, str], None],
        on_task: Callable[[str, TaskResult], None],
        on_lost: Callable[[str, str, str, str], None],
    ) -> None:
        self.records = records
        self.said: list[str] = []
        self._origin = origin
        self._on_play = on_play
        self._on_task = on_task
        self._on_lost = on_lost
        self._handlers: set[str] = set()
        self._items: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self._diffs: dict[tuple[str, str], str] = {}
        self._totals: Mapping[str, Any] = {}

    def take(self, event: Mapping[str, Any]) -> None:
        """One event. Kinds that say nothing about a VM are passed over."""
        kind = str(event.get("event", ""))
        data = event.get("event_data") or {}
        if kind == "playbook_on_play_start":
            self._on_play(str(data.get("name", "")), str(data.get("pattern", "")))
        elif kind == "playbook_on_task_start" and data.get("is_conditional"):  # its word for a handler
            self._handlers.add(str(data.get("task_uuid")))
        elif kind == "playbook_on_stats":
            self._totals = data
        elif not data:
            self.said.append(_ESCAPES.sub("", str(event.get("stdout", ""))))
        record = self.records.get(str(data.get("host", "")))
        if record is None:
            return
        if kind in _ITEM:
            self._item(event, data, kind)
        elif kind == "runner_on_unreachable":
            self._lost(record, data)
        elif kind in _DONE:
            self._done(record, event, data, kind)

    def mistake(self) -> PlaybookError | None:
        """What Ansible said when it stopped for a reason that is no VM's."""
        text = "\n".join(self.said)
        _, found, message = text.rpartition("ERROR]: ") if "ERROR]: " in text else text.rpartition("ERROR! ")
        if not found:
            return None
        where = _ORIGIN.search(message)
        first = message[: where.start()] if where else message.split("\n\n")[0]
        return PlaybookError(" ".join(first.split()), place=self._place(where) if where else None)

    def _place(self, where: re.Match[str]) -> Place:
        path = Path(self._origin(where["path"]))
        line, column = int(where["line"]), int(where["column"] or 1)
        try:
            text = path.read_text(encoding="utf-8").splitlines()[line - 1]
        except (OSError, UnicodeDecodeError, IndexError):
            text = ""
        return Place(path, line, column, text)

    def _done(self, record: HostRun, event: Mapping[str, Any], data: Mapping[str, Any], kind: str) -> None:
        key = _key(data)
        items = self._items.pop(key, [])
        diff = self._diffs.pop(key, "")
        result = _result(data)
        if data.get("task_action") == "gather_facts" and kind == "runner_on_ok":
            return  # labctl's engine gathers facts without a task, and so they are counted in neither
        name, module = _named(data)
        hidden = "censored" in result
        status = _STATUSES.get(kind) or ("changed" if _changed(event, result, items) else "ok")
        telling = next((item["res"] for item in items if item["status"] == "failed"), result)
        seconds = float(data.get("duration") or 0.0)
        shown = TaskResult(
            name=name,
            module=module,
            status=status,
            msg=HIDDEN if hidden else _message(telling, status),
            diff=diff or ("" if hidden else unified(result.get("diff"))),
            seconds=seconds,
            place=self._task_place(data),
            args={"args": MASK} if hidden else _arguments(data, telling),
            stdout=kept(telling.get("stdout")),
            stderr=kept(telling.get("stderr") or telling.get("module_stderr")),
            rc=telling.get("rc") if isinstance(telling.get("rc"), int) else None,
            ignored=status == "failed" and bool(data.get("ignore_errors")),
            handler=str(data.get("task_uuid")) in self._handlers,
            items=tuple({name: one for name, one in item.items() if name != "res"} for item in items),
        )
        record.tasks.append(shown)
        record.seconds += seconds
        self._on_task(record.host, shown)
        if "Missing sudo password" in shown.msg:
            self._over(
                record, SudoRefused.cause, shown.msg, "the login user needs NOPASSWD in /etc/sudoers.d"
            )

    def _item(self, event: Mapping[str, Any], data: Mapping[str, Any], kind: str) -> None:
        result = _result(data)
        status = _STATUSES.get(kind) or ("changed" if _changed(event, result) else "ok")
        item: dict[str, Any] = {"item": MASK, "status": status, "res": result}
        if "censored" not in result:
            label = result.get("_ansible_item_label", result.get("item", ""))
            item.update(item=kept(str(label)), msg=_message(result, status))
            self._diffs[_key(data)] = self._diffs.get(_key(data), "") + unified(result.get("diff"))
        self._items.setdefault(_key(data), []).append(item)

    def _lost(self, record: HostRun, data: Mapping[str, Any]) -> None:
        message = kept(str(_result(data).get("msg", "")).strip())
        cause = next((cause for text, cause in _CAUSES if text in message), Unreachable.cause)
        self._over(record, cause, message, _HINTS[cause])

    def _over(self, record: HostRun, cause: str, message: str, hint: str) -> None:
        record.error, record.cause, record.hint = message, cause, hint
        self._on_lost(record.host, cause, message, hint)

    def finish(self) -> None:
        """After the last event: which failures were the host's, and which a ``rescue`` caught."""
        for host, record in self.records.items():
            rescued = int((self._totals.get("rescued") or {}).get(host, 0))
            for number, task in enumerate(record.tasks):
                if task.status == "failed" and not task.ignored and rescued > 0:
                    record.tasks[number] = replace(task, ignored=True)
                    rescued -= 1
            record.failed = any(task.status == "failed" and not task.ignored for task in record.tasks)

    def _task_place(self, data: Mapping[str, Any]) -> str:
        return self._origin(str(data.get("task_path", "")))


def _key(data: Mapping[str, Any]) -> tuple[str, str]:
    return str(data.get("host")), str(data.get("task_uuid"))


def _result(data: Mapping[str, Any]) -> Mapping[str, Any]:
    result = data.get("res")
    return result if isinstance(result, Mapping) else {}


def _changed(
    event: Mapping[str, Any], result: Mapping[str, Any], items: Sequence[Mapping[str, Any]] = ()
) -> bool:
    """Whether it changed something. ``no_log`` takes that out of the result, not out of the line shown."""
    if "censored" not in result:
        return bool(result.get("changed"))
    line = _ESCAPES.sub("", str(event.get("stdout", "")))
    shown = re.search(r"^changed: \[", line, re.MULTILINE) is not None
    return shown or any(item["status"] == "changed" for item in items)


def _named(data: Mapping[str, Any]) -> tuple[str, str]:
    """The task's name and module, each as labctl's own engine calls them."""
    action = str(data.get("resolved_action") or data.get("task_action", ""))
    module = next((action.removeprefix(one) for one in _PREFIXES if action.startswith(one)), action)
    name = str(data.get("task", ""))
    return module if name == data.get("task_action") else name, module


def _message(result: Mapping[str, Any], status: Status) -> str:
    said = result.get("msg", "")
    if status == "skipped" and not said:
        said = result.get("skip_reason", "")
    return kept(said if isinstance(said, str) else str(said))


def _arguments(data: Mapping[str, Any], result: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that the task gives, as the module got them; Ansible tells them of real modules only."""
    invocation = result.get("invocation")
    got = invocation.get("module_args") if isinstance(invocation, Mapping) else None
    if not isinstance(got, Mapping):
        return {}
    given = set(re.findall(r"(?:^|, )(\w+)=", str(data.get("task_args", ""))))
    named = {"cmd" if name == "_raw_params" else name: value for name, value in got.items() if name in given}
    secret = {name for name, value in named.items() if value == "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER"}
    return masked(named, frozenset(secret))
