"""A play walked for one host with nothing sent: the mistakes that no VM is needed to find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from labctl.documents import nearest
from labctl.errors import PlaybookError
from labctl.playbook.host import Setting
from labctl.playbook.model import Block, Task
from labctl.playbook.prepare import prepare
from labctl.playbook.template import is_template
from labctl.playbook.variables import NeedsFacts, NeedsResult


def preflight(setting: Setting, host: str) -> None:
    """Raise PlaybookError, naming the host, for the first task that cannot be made ready on it."""
    _check_notifications(setting)
    for section in setting.play.sections:
        _walk(setting, host, section)
    _walk(setting, host, setting.play.handlers)


def _walk(setting: Setting, host: str, items: Sequence[Task | Block]) -> None:
    for item in items:
        if isinstance(item, Block):
            # Inside a block that catches failures a failing template may be what it waits for.
            for task in _tasks_of(item):
                _forget(setting, host, task)
        elif setting.tags.selects(item.tags) or item in setting.play.handlers:
            _check(setting, host, item)


def _tasks_of(block: Block) -> list[Task]:
    found: list[Task] = []
    for item in (*block.body, *block.rescue, *block.always):
        found.extend(_tasks_of(item) if isinstance(item, Block) else [item])
    return found


def _check(setting: Setting, host: str, task: Task) -> None:
    state = setting.world.states[host]
    try:
        prepared = prepare(task, setting.scope(host, task), replace(setting.mode, quiet=True))
    except (NeedsResult, NeedsFacts):
        _forget(setting, host, task)
        return
    except PlaybookError as err:
        if task.ignore_errors is not None:
            _forget(setting, host, task)
            return
        raise PlaybookError(f"{err.message} [for {host}]", hint=err.hint, place=err.place) from err
    for item in prepared.items:
        for name, fact in (item.value or {}).get("ansible_facts", {}).items():
            state.set_fact(name, fact, remote=False)
            state.pending.pop(name, None)
    if task.register:
        state.pending[task.register] = True


def _forget(setting: Setting, host: str, task: Task) -> None:
    """What this task gives is not known before the run."""
    state = setting.world.states[host]
    if task.register:
        state.pending[task.register] = True
    if task.module.name == "set_fact":
        state.pending.update(dict.fromkeys(task.args.value, True))


def _check_notifications(setting: Setting) -> None:
    names = [str(handler.name.value) for handler in setting.play.handlers if handler.name]
    known = {*names, *(word for handler in setting.play.handlers for word in handler.listen)}
    dynamic = any(is_template(name) for name in names)
    for section in setting.play.sections:
        for item in section:
            for task in _tasks_of(item) if isinstance(item, Block) else [item]:
                for source in task.notify:
                    if source.value in known or dynamic or is_template(source.value):
                        continue
                    near = nearest(source.value, known)
                    raise PlaybookError(
                        f"no handler is called {source.value!r}",
                        hint=f"did you mean {near!r}?"
                        if near
                        else "handlers stand under handlers: of the play",
                        place=source.place,
                    )
