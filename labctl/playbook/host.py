"""One host's run: its agent, kept for the whole run, and each play's walk over its tasks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from labctl.agent import Agent, OpResult, start_agent
from labctl.deadline import Deadline
from labctl.errors import PlaybookError, PythonMissing
from labctl.inventory import Host
from labctl.playbook import judge, plan
from labctl.playbook.bootstrap import install_python
from labctl.playbook.model import Block, Play, Task
from labctl.playbook.prepare import Mode, Prepared, ignores_errors, number_of, prepare
from labctl.playbook.result import HostRun, TaskResult
from labctl.playbook.state import World
from labctl.playbook.tags import Tags
from labctl.playbook.template import Templar
from labctl.playbook.variables import NeedsFacts, NeedsResult, Scope


class TaskFailed(Exception):
    """A task failed and nothing catches it yet."""


class EndPlay(Exception):
    """``meta: end_play`` or ``end_host``: this play is over for this host, without a failure."""


class Session:
    """A host's connection, opened when the first batch is sent and kept until the run ends."""

    def __init__(self, host: Host, deadline: Deadline, become: bool, may_install: bool = False) -> None:
        self.host = host
        self.deadline = deadline
        self.become = become
        self.may_install = may_install
        self._extra = 0
        self._agent: Agent | None = None

    def agent(self) -> Agent:
        if self._agent is None:
            self._agent = self._start()
        return self._agent

    def _start(self) -> Agent:
        try:
            return start_agent(self.host, self.deadline.sooner(60.0), become=self.become)
        except PythonMissing:
            if not self.may_install:
                raise
        install_python(self.host, self.deadline)
        self._extra = 2
        return start_agent(self.host, self.deadline.sooner(60.0), become=self.become)

    @property
    def counts(self) -> tuple[int, int]:
        """Connections and round trips so far."""
        return (
            (self._agent.connections + self._extra, self._agent.round_trips + self._extra)
            if self._agent
            else (0, 0)
        )

    def close(self) -> None:
        if self._agent is not None:
            self._agent.close()


@dataclass(frozen=True)
class Setting:
    """What one play on one host works with."""

    play: Play
    world: World
    templar: Templar
    playbook_dir: Path
    play_hosts: Sequence[str]
    mode: Mode
    tags: Tags
    on_task: Callable[[str, TaskResult], None]

    def scope(self, host: str, task: Task) -> Scope:
        return self.world.scope(
            host,
            self.templar,
            play=self.play,
            task=task,
            playbook_dir=self.playbook_dir,
            play_hosts=self.play_hosts,
        )


class PlayOnHost:
    """One play on one host. ``run`` raises HostError when the VM cannot be worked with."""

    def __init__(self, setting: Setting, session: Session, record: HostRun) -> None:
        self.setting = setting
        self.session = session
        self.record = record
        self.state = setting.world.states[session.host.name]
        self.batch = plan.Batch()
        self.notified: list[str] = []
        self.catching = 0
        self.in_handlers = False

    def run(self) -> None:
        """Walk the play. The record says afterwards how it went."""
        try:
            for section in self.setting.play.sections:
                self._items(section)
                if self.batch.notifies or self.notified:
                    self._flush()
                    self._handlers()
            self._flush()
            self._handlers()
        except TaskFailed:
            self.record.failed = True
            if self.setting.play.force_handlers:
                self._after_failure()
        except EndPlay:
            pass

    def _after_failure(self) -> None:
        try:
            self._handlers()
        except TaskFailed:
            pass

    # -- the walk --------------------------------------------------------------------------

    def _items(self, items: Sequence[Task | Block]) -> None:
        for item in items:
            if isinstance(item, Block):
                self._block(item)
            elif self.setting.tags.selects(item.tags):
                self._task(item)

    def _block(self, block: Block) -> None:
        self._flush()
        try:
            self.catching += 1
            try:
                self._items(block.body)
                self._flush()
            finally:
                self.catching -= 1
        except TaskFailed:
            if not block.rescue:
                raise
            self._rescued()
            self._items(block.rescue)
            self._flush()
        finally:
            # What `always` holds runs after a failure too, and a failure in it is a failure.
            self._items(block.always)
            self._flush()

    def _rescued(self) -> None:
        """A caught failure is not the host's: its result stays in the list, marked."""
        last = self.record.tasks[-1]
        self.record.tasks[-1] = replace(last, ignored=True)

    def _task(self, task: Task) -> None:
        prepared = self._prepare(task)
        if prepared is None:
            return
        name = task.module.name
        if name == "set_fact" and not self.catching:
            self._keep_facts(prepared)
        self.batch.add(prepared)
        if name == "hostname" and prepared.remote:
            self.state.facts = None  # it is among them: the next mention gathers them anew
        self.state.pending = dict(self.batch.registers)
        if self._must_stop_at(prepared):
            self._flush()
        if name == "meta" and not prepared.items[0].value.get("skipped"):  # type: ignore[union-attr]
            self._meta(str(prepared.items[0].args["action"]))
        if name == "pause":
            self._pause(prepared)

    def _must_stop_at(self, prepared: Prepared) -> bool:
        """Whether the walk cannot go on before this task is done."""
        if prepared.task.module.name in ("meta", "pause") or prepared.judged_here:
            return True
        if prepared.task.module.name == "set_fact" and self.catching:
            return True
        values = [item.value for item in prepared.items]
        return any(value is not None and bool(value.get("failed")) for value in values)

    def _prepare(self, task: Task) -> Prepared | None:
        """Make a task ready, sending what waits when its answer is needed."""
        while True:
            scope = self.setting.scope(self.session.host.name, task)
            try:
                prepared = prepare(task, scope, self.setting.mode)
            except NeedsResult:
                self._flush()
                continue
            except NeedsFacts:
                self._flush(facts=True)
                continue
            except PlaybookError as err:
                self._flush()
                self._refuse(task, err)
                return None
            return replace(prepared, handler=True) if self.in_handlers else prepared

    def _refuse(self, task: Task, err: PlaybookError) -> None:
        """A task that cannot be rendered for this host has failed; nothing of it was sent."""
        text = f"{err}. {err.hint}" if err.hint else str(err)
        ignored = ignores_errors(task, self.setting.scope(self.session.host.name, task))
        result = {"failed": True, "changed": False, "msg": text}
        if task.register:
            self.state.register(task.register, result)
        name = str(task.name.value) if task.name else task.module.name
        self._show(
            TaskResult(
                name=name,
                module=task.module.name,
                status="failed",
                msg=text,
                place=str(task.place),
                ignored=ignored,
                handler=self.in_handlers,
            )
        )
        if not ignored:
            raise TaskFailed

    # -- sending and taking results ----------------------------------------------------------

    def _flush(self, *, facts: bool = False) -> None:
        """Send the batch and take in what comes back. Raises TaskFailed after a failure."""
        entries = self.batch.take()
        self.state.pending = {}
        if facts and any(entry.task.module.name == "setup" for entry in entries):
            facts = False
        failed = False
        repeated: list[tuple[Prepared, OpResult | None]] = []
        for entry, result in plan.send(entries, self.session.agent, self.session.deadline, facts=facts):
            if failed:
                continue
            if entry is None:
                self._facts(result)
            elif entry.task.until:
                # It may call the agent again, which is only free for that once this call has ended.
                repeated.append((entry, result))
            else:
                failed = self._take(entry, result)
        for entry, result in repeated:
            failed = self._take(entry, result) or failed
        if failed:
            raise TaskFailed

    def _facts(self, result: OpResult | None) -> None:
        value = result.value if result else None
        facts = value.get("ansible_facts") if value else None
        self.state.learn_facts(facts if isinstance(facts, dict) else {})

    def _take(self, prepared: Prepared, result: OpResult | None) -> bool:
        """Judge one task; returns whether it failed for good."""
        seconds = result.seconds if result else 0.0
        values = plan.values_of(prepared, result)
        results = [judge.judged(prepared, item, v) for item, v in zip(prepared.items, values, strict=True)]
        if prepared.task.until and not prepared.looped:
            results, more = self._until(prepared, results)
            seconds += more
        whole = judge.registered(prepared, results)
        if prepared.task.module.name == "set_fact":
            self._keep_facts(prepared)
        if prepared.task.module.name == "setup" and isinstance(whole.get("ansible_facts"), dict):
            self.state.learn_facts(whole["ansible_facts"])
        if prepared.task.register:
            self.state.register(prepared.task.register, {k: v for k, v in whole.items() if k != "_remote"})
        shown = judge.shown(prepared, results, whole, seconds)
        self._show(shown)
        if shown.status == "changed":
            self.notified.extend(prepared.notify)
        return shown.status == "failed" and not shown.ignored

    def _until(self, prepared: Prepared, results: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], float]:
        """Repeat a task until its condition holds, as often as it may."""
        task, item = prepared.task, prepared.items[0]
        retries = int(number_of(task.retries, item.scope, 3.0))
        delay = number_of(task.delay, item.scope, 5.0)
        spent = 0.0
        attempt = 1
        while not results[0].get("skipped"):
            if judge.all_true(task.until, judge.with_result(prepared, item.scope, results[0])):
                break
            if attempt > retries:
                results[0].update(
                    failed=True, msg=f"not so after {attempt} attempts: {results[0].get('msg', '')}"
                )
                break
            self.session.deadline.check(f"waiting to repeat {prepared.name!r}")
            time.sleep(min(delay, self.session.deadline.remaining()))
            spent += delay
            for _entry, result in plan.send([prepared], self.session.agent, self.session.deadline):
                spent += result.seconds if result else 0.0
                results = [judge.judged(prepared, item, plan.values_of(prepared, result)[0])]
            attempt += 1
        results[0]["attempts"] = attempt
        return results, spent

    def _keep_facts(self, prepared: Prepared) -> None:
        for item in prepared.items:
            value = item.value or {}
            for name, fact in value.get("ansible_facts", {}).items():
                self.state.set_fact(name, fact, remote=bool(value.get("_remote")))

    def _show(self, result: TaskResult) -> None:
        if result.module == "meta" and result.status in ("ok", "skipped"):
            return  # it orders the run and does nothing on a VM: Ansible shows and counts none either
        self.record.tasks.append(result)
        self.setting.on_task(self.session.host.name, result)

    # -- handlers, meta, pause ---------------------------------------------------------------

    def _handlers(self) -> None:
        """Run the notified handlers in the order the play defines them, each once."""
        while self.notified:
            names, self.notified = set(self.notified), []
            chosen = [handler for handler in self.setting.play.handlers if self._answers(handler, names)]
            self._check_notified(names)
            self.in_handlers = True
            try:
                for handler in chosen:
                    self._task(handler)
                self._flush()
            finally:
                self.in_handlers = False

    def _answers(self, handler: Task, names: set[str]) -> bool:
        return bool(names.intersection(handler.listen)) or self._handler_name(handler) in names

    def _handler_name(self, handler: Task) -> str:
        if handler.name is None:
            return ""
        try:
            scope = self.setting.scope(self.session.host.name, handler)
            return str(scope.templar.render(handler.name.value, handler.name.place, scope))
        except (PlaybookError, NeedsResult, NeedsFacts):
            return str(handler.name.value)

    def _check_notified(self, names: set[str]) -> None:
        known = {self._handler_name(handler) for handler in self.setting.play.handlers}
        known |= {word for handler in self.setting.play.handlers for word in handler.listen}
        for name in sorted(names - known):
            raise PlaybookError(f"a task notifies {name!r}, and no handler has that name")

    def _meta(self, action: str) -> None:
        if action == "flush_handlers":
            self._handlers()
        elif action == "clear_facts":
            self.state.facts = None
        elif action in ("end_host", "end_play"):
            raise EndPlay

    def _pause(self, prepared: Prepared) -> None:
        value = prepared.items[0].value or {}
        if not value.get("skipped"):
            time.sleep(min(float(value.get("seconds", 0.0)), self.session.deadline.remaining()))
