"""Playbooks over hosts: preflight, then play after play, the hosts of each side by side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from labctl.batch import DEFAULT_FORKS, fan_out
from labctl.deadline import Deadline
from labctl.errors import HostError, PlaybookError
from labctl.inventory import Host, Inventory
from labctl.playbook.host import PlayOnHost, Setting
from labctl.playbook.model import Play, Playbook, Task, tasks_in
from labctl.playbook.once import Once
from labctl.playbook.preflight import preflight
from labctl.playbook.prepare import Mode
from labctl.playbook.result import HostRun, RunResult, TaskResult
from labctl.playbook.session import Delegates, Session
from labctl.playbook.state import World
from labctl.playbook.tags import Tags
from labctl.playbook.variables import Layer, Scope

#: A VM's whole setup may take this long: a first run fetches and unpacks packages.
SETUP_SECONDS = 3600.0
#: After Ctrl-C, VMs are given so long to be told that it is over.
CANCEL_SECONDS = 3.0


class Observer(Protocol):
    """Told what happens, one call at a time, from whatever thread it happens in."""

    def play(self, name: str, hosts: Sequence[str]) -> None: ...

    def began(self, host: str) -> None:
        """The host's part of the play."""

    def task(self, host: str, result: TaskResult) -> None: ...

    def host_lost(self, host: str, cause: str, message: str, hint: str) -> None: ...

    def ended(self, host: str, summary: Mapping[str, Any]) -> None:
        """The host's part of the play; ``summary`` is of the run so far, as in :meth:`HostRun.summary`."""


@dataclass(frozen=True)
class RunOptions:
    """What the command line chose. ``seconds`` bounds each VM's whole run."""

    check: bool = False
    diff: bool = False
    tags: tuple[str, ...] = ()
    skip_tags: tuple[str, ...] = ()
    extra_vars: Mapping[str, Any] = field(default_factory=dict)
    forks: int = DEFAULT_FORKS
    verbosity: int = 0
    seconds: float = SETUP_SECONDS


@dataclass(frozen=True)
class _Step:
    """A play and the chosen hosts that it names."""

    play: Play
    hosts: tuple[Host, ...]


class Run:
    """One run of one or more playbooks. ``cancel`` may be called from another thread or a signal."""

    def __init__(
        self,
        playbooks: Sequence[Playbook],
        inventory: Inventory,
        hosts: Sequence[Host],
        options: RunOptions,
        observer: Observer | None = None,
    ) -> None:
        self.options = options
        self.name = ", ".join(playbook.path.stem for playbook in playbooks)
        self._observer = observer
        self._lock = threading.Lock()
        self._cancelled = False
        self.tags = Tags.of(options.tags, options.skip_tags)
        self.mode = Mode(check=options.check, diff=options.diff)
        self._chosen = tuple(hosts)
        self._directory = playbooks[0].path.resolve().parent
        self._dirs = [play.directory for playbook in playbooks for play in playbook.plays]
        self.world = World(inventory, hosts, options.extra_vars, self._facts_of_run(), self._dirs)
        self.steps = _steps(playbooks, self.world, hosts, options)
        self.records = {host.name: HostRun(host.name) for host in hosts}
        self._sessions: dict[str, Session] = {}
        self._delegates: Delegates | None = None
        self._once: Once | None = None
        self._hosts = {host.name: self._connecting(host) for host in hosts}
        self._last = {host.name: step for step in self.steps for host in step.hosts}

    def _connecting(self, host: Host) -> Host:
        """The host as its first playbook sees it: one connection serves all of them.

        Raises InventoryError for what connecting would stumble over.
        """
        for step in self.steps:
            if any(named.name == host.name for named in step.hosts):
                host = self.world.host(host.name, step.play.directory)
                host.validate()
                break
        return host

    def _facts_of_run(self) -> dict[str, Any]:
        return {
            "ansible_check_mode": self.options.check,
            "ansible_diff_mode": self.options.diff,
            "ansible_forks": self.options.forks,
            "ansible_verbosity": self.options.verbosity,
            "ansible_run_tags": sorted(self.tags.only) or ["all"],
            "ansible_skip_tags": sorted(self.tags.skip),
        }

    @property
    def hosts(self) -> tuple[Host, ...]:
        """The hosts of the run, as they are connected to."""
        return tuple(self._hosts.values())

    def preflight(self) -> None:
        """Find every mistake that can be found without a VM. Raises PlaybookError; nothing connects."""
        scratch = World(self.world.inventory, self._chosen, self.world.extra, self.world.run, self._dirs)
        for step in self.steps:
            names = [host.name for host in step.hosts]
            for host in step.hosts:
                setting = self._setting(step, names, scratch)
                preflight(setting, host.name)

    def execute(self) -> RunResult:
        """Run everything; one host's failure ends its own part only."""
        self.preflight()
        deadline = Deadline.after(self.options.seconds)
        self._delegates = Delegates(self.world.inventory, deadline, self._directory)
        for host in self._hosts.values():
            self._sessions[host.name] = Session(
                host, deadline, self._directory, _needs_root(self.steps), may_install=not self.options.check
            )
        try:
            for step in self.steps:
                self._step(step)
        finally:
            if not self._cancelled:
                for session in self._all_sessions():
                    session.close()
        return self.result()

    def result(self) -> RunResult:
        """What has been done so far; complete once ``execute`` has returned."""
        return RunResult(self.name, tuple(self.records.values()), self.options.check, self._cancelled)

    def cancel(self) -> None:
        """End the work on every VM: the agents stop when their connections close."""
        self._cancelled = True
        if self._once is not None:
            self._once.cancel()
        for session in self._all_sessions():
            # Side by side, and nobody waits: closing takes a moment per VM, and longer where one hangs.
            threading.Thread(target=session.close, daemon=True).start()

    def _all_sessions(self) -> list[Session]:
        return [*self._sessions.values(), *(self._delegates.all() if self._delegates else ())]

    def _step(self, step: _Step) -> None:
        hosts = [host for host in step.hosts if not self.records[host.name].over]
        if not hosts or self._cancelled:
            return
        names = [host.name for host in hosts]
        self._tell("play", step.play.name, names)
        setting = self._setting(step, names, self.world)
        delegates = self._delegates
        assert delegates is not None
        once = self._once = Once(names, self.options.forks)
        # Hosts that wait for each other must all have begun: then Once keeps the number of forks.
        threads = len(hosts) if may_run_once(step.play) else self.options.forks

        def work(host: Host) -> None:
            record, session = self.records[host.name], self._sessions[host.name]
            once.enter()
            self._tell("began", host.name)
            started = time.monotonic()
            try:
                PlayOnHost(setting, session, delegates, once, record).run()
            finally:
                once.leave(host.name)
                record.seconds += time.monotonic() - started
                record.connections, record.round_trips = session.counts
                if self._last[host.name] is step or record.over:
                    # now: hundreds that stay open until the slowest has ended cost memory, here and there
                    session.close()
                    delegates.close(host.name)

        def done(host: Host, outcome: HostError | None) -> None:
            record = self.records[host.name]
            if isinstance(outcome, HostError) and not self._cancelled:
                record.error, record.cause, record.hint = outcome.message, outcome.cause, outcome.hint
                self._tell("host_lost", host.name, outcome.cause, outcome.message, outcome.hint)
            self._tell("ended", host.name, record.summary())

        fan_out(hosts, work, forks=threads, on_done=done, patience=CANCEL_SECONDS)

    def _setting(self, step: _Step, names: Sequence[str], world: World) -> Setting:
        return Setting(
            play=step.play,
            world=world,
            play_hosts=list(names),
            mode=self.mode,
            tags=self.tags,
            on_task=lambda host, result: self._tell("task", host, result),
        )

    def _tell(self, what: str, *values: Any) -> None:
        if self._observer is not None and not self._cancelled:
            with self._lock:
                getattr(self._observer, what)(*values)


def run_playbook(
    playbooks: Playbook | Sequence[Playbook],
    inventory: Inventory,
    hosts: Sequence[Host],
    options: RunOptions | None = None,
    observer: Observer | None = None,
) -> RunResult:
    """Run playbooks in order over ``hosts``, one connection per host for all of them."""
    listed = [playbooks] if isinstance(playbooks, Playbook) else list(playbooks)
    return Run(listed, inventory, hosts, options or RunOptions(), observer).execute()


def _steps(
    playbooks: Sequence[Playbook], world: World, hosts: Sequence[Host], options: RunOptions
) -> tuple[_Step, ...]:
    chosen = {host.name for host in hosts}
    steps = []
    patterns = []
    for playbook in playbooks:
        for play in playbook.plays:
            pattern = _pattern(play, options)
            patterns.append(pattern)
            named = _named(world.inventory, hosts, pattern)
            mine = tuple(host for host in hosts if host.name in named & chosen)
            steps.append(_Step(play, mine))
    if not any(step.hosts for step in steps):
        raise PlaybookError(
            f"no play of {', '.join(str(playbook.path) for playbook in playbooks)} is for "
            f"{', '.join(sorted(chosen)) or 'no host'}",
            hint=f"the plays' hosts: {', '.join(dict.fromkeys(patterns))}. Put the VM into such a group",
            place=steps[0].play.hosts.place if steps else None,
        )
    return tuple(steps)


def _pattern(play: Play, options: RunOptions) -> str:
    """The play's hosts: templates see what is given with -e, and the play's own variables."""
    layers = [Layer("extra vars", options.extra_vars, "final"), Layer("play vars", play.vars)]
    try:
        value = play.templar.render(play.hosts.value, play.hosts.place, Scope(play.templar, layers))
    except PlaybookError as err:
        raise PlaybookError(
            f"hosts: {play.hosts.value!r} needs a variable given with -e: {err.message}",
            place=play.hosts.place,
        ) from err
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _named(inventory: Inventory, hosts: Sequence[Host], pattern: str) -> set[str]:
    """The hosts a play names; a group that the inventory does not have names none, as in Ansible."""
    if pattern in ("all", "*"):
        return {host.name for host in hosts}
    return inventory.named_by(pattern) | {host.name for host in hosts if host.name == pattern}


def _needs_root(steps: Sequence[_Step]) -> bool:
    """Whether a task is known to become another user: then the agent runs as root from the start."""
    return any(
        task.privilege.become is not None and task.privilege.become.value is not False
        for step in steps
        for task in _tasks_of(step.play)
    )


def may_run_once(play: Play) -> bool:
    """Whether the play holds a ``run_once`` task, or an include, which may bring one."""
    return any(task.run_once is not None or task.include is not None for task in _tasks_of(play))


def _tasks_of(play: Play) -> Iterator[Task]:
    """Every task and handler of a play that is known before the run."""
    for section in play.sections:
        yield from tasks_in(section)
    yield from play.handlers
