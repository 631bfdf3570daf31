"""A play walked for one host with nothing sent: the mistakes that no VM is needed to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from labctl.documents import nearest
from labctl.errors import PlaybookError
from labctl.playbook.host import Setting
from labctl.playbook.includes import Includes
from labctl.playbook.model import Block, Task, tasks_in
from labctl.playbook.prepare import Prepared, hides, prepare
from labctl.playbook.template import is_template
from labctl.playbook.values import Used
from labctl.playbook.variables import NeedsFacts, NeedsResult, ScopeView

_UNHIDDEN = "without no_log, and with other values in its secrets, it is told"


def preflight(setting: Setting, host: str) -> None:
    """Raise PlaybookError, naming the host, for the first task that cannot be made ready on it."""
    _check_notifications(setting)
    walk = _Walk(setting, host)
    for handler in setting.play.handlers:
        walk.forget(handler)  # it may run between any two of the tasks
    for section in setting.play.sections:
        walk.items(section)
    for handler in setting.play.handlers:
        walk.task(handler)


class _Walk:
    """The walk for one host; what the tasks give is kept in the host's state."""

    def __init__(self, setting: Setting, host: str) -> None:
        self.setting = setting
        self.host = host
        self.state = setting.world.states[host]
        self.state.public.clear()
        self.state.role_names.clear()
        self.includes = Includes(self.state)
        self.mode = replace(setting.mode, quiet=True)
        #: Something was left out that may define names which only the run will know.
        self.unsure = False

    def items(self, items: Sequence[Task | Block]) -> None:
        for item in items:
            if isinstance(item, Block) and not item.catches:
                self.items(item.body)
            elif isinstance(item, Block):
                # Inside a block that catches failures a failing template may be what it waits for.
                for task in tasks_in([item]):
                    self.forget(task)
            elif self.setting.tags.selects(item.tags):
                self.task(item)

    def task(self, task: Task) -> None:
        if task.run_once is not None and self.host != self.setting.play_hosts[0]:
            self.forget(task)  # the first host does it, with its own variables
            return
        try:
            scope = self.setting.scope(self.host, task, self.includes.layers)
            prepared = prepare(task, scope, self.mode)
        except (NeedsResult, NeedsFacts):
            self.forget(task)
            return
        except PlaybookError as err:
            if task.ignore_errors is not None or self.may_be_known(err):
                self.forget(task)
                return
            if hides(task, self.setting.scope(self.host, task, self.includes.layers), err):
                message, hint = "this cannot be made ready, and why is hidden by no_log", _UNHIDDEN
            else:
                message, hint = err.message, err.hint
            raise PlaybookError(f"{message} [for {self.host}]", hint=hint, place=err.place) from err
        self.keep(prepared)
        if task.register:
            self.state.pending[task.register] = True

    def keep(self, prepared: Prepared) -> None:
        """What a task that stays on the controller gives, and what an include brings."""
        for item in prepared.items:
            for name, fact in (item.value or {}).get("ansible_facts", {}).items():
                self.state.set_fact(name, fact, remote=False)
                self.state.pending.pop(name, None)
            if item.variables is not None:
                self.state.included.append(item.variables)
            if item.included is not None:
                with self.includes.inside(prepared.task, item) as included:
                    self.items(included.items)
                    for handler in included.handlers:
                        self.task(handler)

    def may_be_known(self, err: PlaybookError) -> bool:
        """Whether the name that is not defined may be by then: by what was left out, or another host's."""
        used = err.__cause__
        if not isinstance(used, Used):
            return False
        return self.unsure or isinstance(used.value._undefined_obj, ScopeView)

    def forget(self, task: Task) -> None:
        """What this task gives is not known before the run."""
        if task.register:
            self.state.pending[task.register] = True
        if task.module.name == "set_fact":
            self.state.pending.update(dict.fromkeys(task.args.value, True))
            self.unsure = self.unsure or any(map(is_template, task.args.value))
        if task.module.name == "include_vars" or task.include is not None:
            self.unsure = True


def _check_notifications(setting: Setting) -> None:
    """Every handler that a task notifies must be there, when all that there will be are known."""
    names: list[str] = []
    for handler in setting.play.handlers:
        if handler.name is not None:
            name = str(handler.name.value)
            names.extend([name, f"{handler.role.name} : {name}"] if handler.role else [name])
    known = {*names, *(word for handler in setting.play.handlers for word in handler.listen)}
    tasks = [task for section in setting.play.sections for task in tasks_in(section)]
    if any(is_template(name) for name in names) or any(task.include is not None for task in tasks):
        return
    for task in tasks:
        for source in task.notify:
            if source.value in known or is_template(source.value):
                continue
            near = nearest(source.value, known)
            raise PlaybookError(
                f"no handler is called {source.value!r}",
                hint=f"did you mean {near!r}?" if near else "handlers stand under handlers: of the play",
                place=source.place,
            )
