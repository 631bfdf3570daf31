"""A run by ansible-core: started by ansible-runner, watched, and ended when it must be."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import signal
import sysconfig
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from labctl.errors import DeadlineExceeded, PlaybookError, RequestError, UnknownHost
from labctl.inventory import Host, Inventory
from labctl.playbook.ansible_engine.events import Translator
from labctl.playbook.ansible_engine.workspace import Source, Workspace
from labctl.playbook.engine import Observer, RunOptions
from labctl.playbook.result import HostRun, RunResult

#: After Ctrl-C Ansible may take this long to end its workers; then the whole process group is killed.
GRACE_SECONDS = 3.0
_LONGEST = 50


class AnsibleRun:
    """One run of playbooks by ansible-core. ``course`` holds their templates and files.

    Raises :class:`RequestError` at once when the extra ``labctl[ansible]`` is not installed. ``cancel``
    may be called from another thread or a signal.
    """

    def __init__(
        self,
        playbooks: Sequence[Path],
        inventory: Inventory,
        hosts: Sequence[Host],
        options: RunOptions,
        observer: Observer | None = None,
        *,
        course: Path | None = None,
    ) -> None:
        self.name = ", ".join(path.stem for path in playbooks)
        # By the names that Ansible has for them: it takes a port out of a name.
        self.records = {_ansible_name(host): HostRun(host.name) for host in hosts}
        self._program = _ansible_playbook()
        self._sources = [Source(path, course) for path in playbooks]
        self._inventory = inventory
        self._hosts = [replace(host, name=_ansible_name(host)) for host in hosts]
        self._options = options
        self._observer = observer
        self._course = course
        self._cancelled_at: float | None = None
        self._process: int | None = None
        self._outcome: int | BaseException | None = None

    def execute(self) -> RunResult:
        """Run everything. Raises PlaybookError with what Ansible said when it stopped for no VM's sake."""
        temporary = tempfile.gettempdir()
        with tempfile.TemporaryDirectory(
            prefix="labctl-",
            # SSH's sockets are made below it, and a socket's path may have 107 bytes.
            dir=temporary if len(os.fsencode(temporary)) <= _LONGEST else "/tmp",  # noqa: S108 - 0700, random
            ignore_cleanup_errors=True,
        ) as directory:
            space = Workspace(Path(directory), self._sources, self._inventory, self._hosts, self._options)
            told = Translator(
                self.records,
                origin=space.origin,
                on_play=self._on_play,
                on_task=lambda host, result: self._tell("task", host, result),
                on_lost=lambda *lost: self._tell("host_lost", *lost),
            )
            # In a thread: ansible-runner, interrupted while it waits, would leave Ansible running.
            worker = threading.Thread(target=self._work, args=(space, told), name="ansible-runner")
            worker.start()
            try:
                while worker.is_alive():
                    worker.join(0.2)
            finally:
                worker.join(GRACE_SECONDS + 2.0)
                space.close_connections()
                told.finish()
            self._judge(told)
        return self.result()

    def result(self) -> RunResult:
        """What has been done so far; complete once ``execute`` has returned."""
        records = tuple(self.records.values())
        return RunResult(self.name, records, self._options.check, self._cancelled_at is not None)

    def cancel(self) -> None:
        """End Ansible, which ends its workers and their connections."""
        self._cancelled_at = time.monotonic()
        if self._process is not None:
            try:
                os.kill(self._process, signal.SIGINT)
            except ProcessLookupError:
                pass

    def _work(self, space: Workspace, told: Translator) -> None:
        from ansible_runner import run_command

        def on_event(event: Mapping[str, Any]) -> None:
            self._process = event.get("pid") or self._process
            if self._cancelled_at is None:
                told.take(event)

        try:
            _out, _err, self._outcome = run_command(
                str(self._program),
                space.arguments,
                private_data_dir=str(space.root / "runner"),
                host_cwd=str(Path.cwd()),
                envvars=space.environment(self._course),
                # Looked at between reads: how soon cancelling and the deadline are noticed.
                settings={"pexpect_timeout": 1, "job_timeout": int(self._options.seconds)},
                event_handler=on_event,
                cancel_callback=self._give_up,
                quiet=True,
            )
        except Exception as err:  # noqa: BLE001 - raised again where the caller waits
            self._outcome = err

    def _give_up(self) -> bool:
        began = self._cancelled_at
        return began is not None and (self._process is None or time.monotonic() - began > GRACE_SECONDS)

    def _judge(self, told: Translator) -> None:
        """What the end of ansible-playbook means beyond what was said of each VM."""
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        if self._cancelled_at is not None or self._outcome == 0:
            return
        if self._outcome == 254:  # ansible-runner's word for a run that its deadline ended
            for record in self.records.values():
                if not record.over:
                    record.error = f"not done after {self._options.seconds:.0f} s"
                    record.cause = DeadlineExceeded.cause
            return
        mistake = told.mistake()
        if mistake is not None:
            raise mistake
        if not any(record.over for record in self.records.values()):
            raise PlaybookError(f"ansible-playbook ended with status {self._outcome} and did not say why")

    def _on_play(self, name: str, pattern: str) -> None:
        chosen = [record.host for record in self.records.values() if not record.over]
        try:
            named = {host.name for host in self._inventory.select([pattern])}
        except UnknownHost:
            named = set(chosen)  # a pattern that needs Ansible to be understood
        self._tell("play", name, [host for host in chosen if host in named or pattern in ("all", host)])

    def _tell(self, what: str, *values: Any) -> None:
        if self._observer is not None:
            getattr(self._observer, what)(*values)


def _ansible_name(host: Host) -> str:
    """What Ansible calls a host: of ``192.0.2.1:2200`` it would make the host 192.0.2.1."""
    return re.sub(r"[\[\]:]+", "_", host.name).strip("_") if host.has_port_in_name else host.name


def _ansible_playbook() -> Path:
    """The program of the ansible-core that is installed beside labctl, or on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "ansible-playbook"
    found = str(beside) if beside.is_file() else shutil.which("ansible-playbook")
    if found is None or importlib.util.find_spec("ansible_runner") is None:
        missing = "ansible-core" if found is None else "ansible-runner"
        raise RequestError(
            f"--engine ansible needs {missing}, which is not installed",
            hint="install it beside labctl: pip install 'labctl[ansible]'",
        )
    return Path(found)
