"""One play on one host: the walk over its tasks, what is sent when, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from labctl.agent import OpResult
from labctl.errors import PlaybookError
from labctl.playbook import judge, plan
from labctl.playbook.handlers import Handlers
from labctl.playbook.includes import Includes
from labctl.playbook.model import Block, Play, Task
from labctl.playbook.once import Once, Outcome
from labctl.playbook.prepare import (
    Item,
    Mode,
    Prepared,
    hides,
    ignores_errors,
    number_of,
    prepare,
    runs_once,
    task_name,
)
from labctl.playbook.result import HostRun, TaskResult
from labctl.playbook.sending import Sender
from labctl.playbook.session import Delegates, Session
from labctl.playbook.state import World
from labctl.playbook.tags import Tags
from labctl.playbook.variables import Layer, NeedsFacts, NeedsResult, Scope

T = TypeVar("T")


class TaskFailed(Exception):
    """A task failed and nothing catches it yet."""


class EndPlay(Exception):
    """``meta: end_play`` or ``end_host``: this play is over for this host, without a failure."""


@dataclass(frozen=True)
class Setting:
    """What one play on one host works with."""

    play: Play
    world: World
    play_hosts: Sequence[str]
    mode: Mode
    tags: Tags
    on_task: Callable[[str, TaskResult], None]

    def scope(self, host: str, task: Task, includes: Sequence[Layer] = ()) -> Scope:
        """What ``task`` sees on ``host``; ``includes`` are the variables of those that it stands in."""
        return self.world.scope(
            host,
            task.templar,
            play=self.play,
            task=task,
            play_hosts=self.play_hosts,
            includes=includes,
        )


class PlayOnHost:
    """One play on one host. ``run`` raises HostError when the VM cannot be worked with."""

    def __init__(
        self, setting: Setting, session: Session, delegates: Delegates, once: Once, record: HostRun
    ) -> None:
        self.setting = setting
        self.session = session
        self.sender = Sender(session, delegates)
        self.once = once
        self.record = record
        self.name = session.host.name
        self.state = setting.world.states[self.name]
        self.batch = plan.Batch()
        self.handlers = Handlers(setting.play.handlers, self._scope)
        self.includes = Includes(self.state)
        self.roles_done: set[Hashable] = set()
        #: The blocks whose body is under way and that catch what fails in it, or do something after it.
        self.catching: list[Block] = []
        #: The result of the task that failed last, and where in the record it is.
        self.failure: Mapping[str, Any] = {}
        self.failed_at = -1
        self.in_handlers = False
        self._turns: dict[int, int] = {}

    def run(self) -> None:
        """Walk the play. The record says afterwards how it went."""
        self.state.public.clear()
        self.state.role_names.clear()
        try:
            for section in self.setting.play.sections:
                self._section(section)
                self._run_handlers()
            self._section(())
        except TaskFailed:
            self.record.failed = True
        except EndPlay:
            pass

    def _section(self, section: Sequence[Task | Block]) -> None:
        """A section's tasks. Forced handlers run after a failure among them, not after a handler's."""
        try:
            self._items(section)
            if self.batch.notifies or self.handlers.waiting or not section:
                self._flush()
        except TaskFailed:
            self.record.failed = True
            if self.setting.play.force_handlers:
                self._run_handlers()
            raise

    def _scope(self, task: Task) -> Scope:
        return self.setting.scope(self.name, task, self.includes.layers)

    # -- the walk --------------------------------------------------------------------------

    def _items(self, items: Sequence[Task | Block]) -> None:
        for item in items:
            if isinstance(item, Block):
                self._block(item)
            elif self.setting.tags.selects(item.tags):
                self._task(item)

    def _block(self, block: Block) -> None:
        if not block.catches:
            if not (block.once and block.role in self.roles_done):
                self._items(block.body)
                self.roles_done.add(block.role)
            return
        self._flush()
        try:
            self._tried(block)
        except TaskFailed:
            self._always(block, failed=True)
            raise
        self._always(block)

    def _tried(self, block: Block) -> None:
        """A block's body, and its rescue after a failure."""
        try:
            self.catching.append(block)
            try:
                self._items(block.body)
                self._flush()
            finally:
                self.catching.pop()
        except TaskFailed:
            if not block.rescue:
                raise
            self._rescued()
            self._items(block.rescue)
            self._flush()

    def _always(self, block: Block, *, failed: bool = False) -> None:
        """What runs after a failure too, and a failure in it is a failure; not when the host has ended."""
        try:
            self._items(block.always)
            self._flush()
        except EndPlay:
            # the failure that led here stays one, where no block around was to catch it
            if failed and not any(around.rescue for around in self.catching):
                self.record.failed = True
            raise

    def _rescued(self) -> None:
        """A caught failure is not the host's: its result stays, marked, for the rescue to read."""
        task = self.record.tasks[self.failed_at]  # others may follow it: those of an always further in
        self.record.tasks[self.failed_at] = replace(task, ignored=True)
        self.state.register("ansible_failed_task", {"name": task.name, "action": task.module})
        self.state.register("ansible_failed_result", self.failure)

    def _task(self, task: Task) -> None:
        if task.run_once is not None and self._asked(lambda: runs_once(task, self._scope(task)), task):
            self._once(task)
        else:
            self._one(task)

    def _one(self, task: Task) -> None:
        prepared = self._prepare(task)
        if prepared is None:
            return
        if prepared.delegated or prepared.alone:
            self._flush()
        name = task.module.name
        if name in ("set_fact", "include_vars") and not self.catching:
            self._keep(prepared)
        self.batch.add(prepared)
        if name == "hostname" and prepared.remote:
            self.state.facts = None  # it is among them: the next mention gathers them anew
        self.state.pending = dict(self.batch.registers)
        if self._must_stop_at(prepared):
            self._flush()
        if task.include is not None:
            self._included(prepared)
        if name == "meta" and not prepared.items[0].value.get("skipped"):  # type: ignore[union-attr]
            self._meta(str(prepared.items[0].args["action"]))
        if name == "pause":
            self._pause(prepared)

    def _must_stop_at(self, prepared: Prepared) -> bool:
        """Whether the walk cannot go on before this task is done."""
        name = prepared.task.module.name
        if name in ("meta", "pause") or prepared.judged_here or prepared.delegated or prepared.alone:
            return True
        if name in ("set_fact", "include_vars") and self.catching:
            return True
        values = [item.value for item in prepared.items]
        return any(value is not None and bool(value.get("failed")) for value in values)

    def _included(self, prepared: Prepared) -> None:
        """Walk what an include brought, once per round of its loop."""
        for item in prepared.items:
            if item.included is not None:
                with self.includes.inside(prepared.task, item) as included:
                    self.handlers.tasks.extend(included.handlers)
                    self._items(included.items)

    def _once(self, task: Task) -> None:
        """Do a task for all of the play's hosts, or take over what another has done."""
        self._flush()
        turn = self._turns[id(task)] = self._turns.get(id(task), 0) + 1
        key = (id(task), turn)
        outcome = self.once.turn(self.name, key, self.session.deadline)
        if outcome is not None:
            self._adopt(task, outcome)
            return
        known = len(self.state.included)
        try:
            self._one(task)
            self._flush()
        except TaskFailed:
            self.once.publish(key, Outcome(self.name, failed=True))
            raise
        named = task.args.value if task.module.name == "set_fact" else ()
        facts = {name: self.state.value_of(name) for name in named if self.state.knows(name)}
        register = self.state.results.get(task.register) if task.register else None
        # of a task that includes others each host has what it includes to do, as far as it does not run once
        included = self.state.included[known:] if task.module.name == "include_vars" else ()
        self.once.publish(key, Outcome(self.name, False, register, facts, tuple(included)))

    def _adopt(self, task: Task, outcome: Outcome) -> None:
        if outcome.failed:
            told = f"the task runs once for all VMs, and it failed on {outcome.host}"
            self._refuse(task, told)
        if task.register and outcome.register is not None:
            self.state.register(task.register, outcome.register)
        for name, (value, remote) in outcome.facts.items():
            self.state.set_fact(name, value, remote=remote)
        self.state.included.extend(outcome.included)

    def _prepare(self, task: Task) -> Prepared | None:
        """Make a task ready; None when it cannot be, and its failure is to be ignored."""
        prepared = self._asked(lambda: prepare(task, self._scope(task), self.setting.mode), task)
        return replace(prepared, handler=True) if prepared and self.in_handlers else prepared

    def _asked(self, ask: Callable[[], T], task: Task) -> T | None:
        """What ``ask`` gives, once what waits has been sent when its answer is needed."""
        while True:
            try:
                return ask()
            except NeedsResult:
                self._flush()
            except NeedsFacts:
                self._flush(facts=True)
            except PlaybookError as err:
                self._flush()
                hidden = hides(task, self._scope(task), err)
                self._refuse(task, f"{err}. {err.hint}" if err.hint else str(err), hidden=hidden)
                return None

    def _refuse(self, task: Task, text: str, *, hidden: bool = False) -> None:
        """A task that cannot be done for this host has failed; nothing of it was sent."""
        self.handlers.done(task)
        ignored = ignores_errors(task, self._scope(task))
        result = {"failed": True, "changed": False, "msg": text}
        if task.register:
            self.state.register(task.register, result)
        self._show(
            TaskResult(
                name=task_name(task),
                module=task.module.name,
                status="failed",
                msg=judge.HIDDEN if hidden else text,
                place=str(task.place),
                ignored=ignored,
                handler=self.in_handlers,
            )
        )
        if not ignored:
            self._failed(result)
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
        if len(entries) == 1 and entries[0].delegated:
            if self._take(entries[0], *self.sender.once(entries[0])):
                raise TaskFailed
            return
        for entry, result in self.sender.send(entries, facts=facts):
            if failed:
                continue
            if entry is None:
                self._facts(result)
            elif entry.repeats:
                # It may call the agent again, which is only free for that once this call has ended.
                repeated.append((entry, result))
            else:
                failed = self._take(entry, plan.values_of(entry, result), result.seconds if result else 0.0)
        for entry, result in repeated:
            seconds = result.seconds if result else 0.0
            failed = self._take(entry, plan.values_of(entry, result), seconds) or failed
        if failed:
            raise TaskFailed

    def _facts(self, result: OpResult | None) -> None:
        value = result.value if result else None
        facts = value.get("ansible_facts") if value else None
        self.state.learn_facts(facts if isinstance(facts, dict) else {})

    def _take(self, prepared: Prepared, values: Sequence[Mapping[str, Any]], seconds: float) -> bool:
        """Judge one task by its items' values; returns whether it failed for good."""
        results = [judge.judged(prepared, item, v) for item, v in zip(prepared.items, values, strict=True)]
        if prepared.repeats:
            for number, item in enumerate(prepared.items):
                results[number], more = self._until(replace(prepared, items=(item,)), results[number])
                seconds += more
        if prepared.handler:
            self.handlers.done(prepared.task)
        whole = judge.registered(prepared, results)
        if prepared.task.module.name in ("set_fact", "include_vars"):
            self._keep(prepared)
        if prepared.task.module.name == "setup" and isinstance(whole.get("ansible_facts"), dict):
            self.state.learn_facts(whole["ansible_facts"])
        if prepared.task.register:
            self.state.register(prepared.task.register, {k: v for k, v in whole.items() if k != "_remote"})
        shown = judge.shown(prepared, results, whole, seconds)
        if shown.status == "changed":
            unknown = self.handlers.unknown(prepared.notify)
            if unknown:
                shown = replace(shown, status="failed", msg=unknown, ignored=False)
            self.handlers.notify(prepared.notify)
        self._show(shown)
        if shown.status != "failed" or shown.ignored:
            return False
        self._failed(whole)
        return True

    def _failed(self, result: Mapping[str, Any]) -> None:
        self.failure, self.failed_at = result, len(self.record.tasks) - 1

    def _until(self, prepared: Prepared, result: dict[str, Any]) -> tuple[dict[str, Any], float]:
        """Repeat a task, or one round of its loop, until its condition holds, as often as it may."""
        task, item = prepared.task, prepared.items[0]
        spent, attempt = 0.0, 1
        if result.get("skipped"):
            return result, spent
        try:
            retries = int(number_of(task.retries, item.scope, 3.0))
            delay = number_of(task.delay, item.scope, 5.0)
            while retries > 0:
                result["attempts"] = min(attempt, retries)
                if self._holds(prepared, item, result):
                    break
                if attempt > retries:
                    told = f"not so after {attempt} attempts: {result.get('msg', '')}"
                    result.update(failed=True, msg=told)
                    break
                self.session.deadline.check(f"waiting to repeat {prepared.name!r}")
                self.session.wait(delay)
                values, seconds = self.sender.once(prepared)
                spent += delay + seconds
                result = judge.judged(prepared, item, values[0])
                attempt += 1
        except PlaybookError as err:
            result.update(failed=True, msg=str(err))
        return result, spent

    def _holds(self, prepared: Prepared, item: Item, result: dict[str, Any]) -> bool:
        if not prepared.task.until:
            return not result["failed"]
        return judge.all_true(prepared.task.until, judge.with_result(prepared, item.scope, result))

    def _keep(self, prepared: Prepared) -> None:
        """What set_fact and include_vars give."""
        for item in prepared.items:
            value = item.value or {}
            for name, fact in value.get("ansible_facts", {}).items():
                self.state.set_fact(name, fact, remote=bool(value.get("_remote")))
            if item.variables is not None and item.variables not in self.state.included[-1:]:
                self.state.included.append(item.variables)

    def _show(self, result: TaskResult) -> None:
        if result.module == "meta" and result.status in ("ok", "skipped"):
            return  # it orders the run and does nothing on a VM: Ansible shows and counts none either
        self.record.tasks.append(result)
        self.setting.on_task(self.name, result)

    # -- handlers, meta, pause ---------------------------------------------------------------

    def _run_handlers(self) -> None:
        """Run the notified handlers once, in the order the play defines them.

        A handler may notify one further down; one further up waits for the next time, as in Ansible.
        """
        if not self.handlers.waiting:
            return
        self.in_handlers = True
        try:
            for handler in tuple(self.handlers.tasks):
                if self.handlers.take(handler):
                    self._task(handler)
                    if handler.notify:
                        self._flush()
            self._flush()
        finally:
            self.in_handlers = False
            self.handlers.put_back()

    def _meta(self, action: str) -> None:
        if action == "flush_handlers":
            self._run_handlers()
        elif action == "clear_facts":
            self.state.facts = None
        elif action in ("end_host", "end_play"):
            raise EndPlay

    def _pause(self, prepared: Prepared) -> None:
        value = prepared.items[0].value or {}
        if not value.get("skipped"):
            self.session.wait(float(value.get("seconds", 0.0)))
