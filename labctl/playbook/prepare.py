"""One task on one host, made ready: conditions judged, loop unrolled, arguments rendered and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from jinja2.utils import missing

from labctl.agent import LOGIN_USER, Op
from labctl.errors import PlaybookError
from labctl.playbook.actions import here, include_vars, send
from labctl.playbook.model import Included, Source, Task
from labctl.playbook.result import masked
from labctl.playbook.schema import BadValue, Module, complete, to_bool
from labctl.playbook.values import OMIT, NotGiven, Used
from labctl.playbook.variables import Layer, NeedsFacts, NeedsResult, Scope


@dataclass(frozen=True)
class Item:
    """One round of a task's loop, or the whole of a task without one.

    ``value`` is known for what was skipped or done here; None is for the VM to do. ``given`` are the
    parameters as the task spells them, the others in ``args`` are defaults. ``layer`` are the loop's
    variables of this round. ``included`` and ``variables`` are what an include found.
    """

    scope: Scope
    args: Mapping[str, Any]
    value: Mapping[str, Any] | None = None
    label: str | None = None
    given: frozenset[str] = frozenset()
    remote_args: Mapping[str, Any] = field(default_factory=dict)
    layer: Layer | None = None
    delegate: str | None = None
    included: Included | None = None
    variables: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Prepared:
    """A task ready to be run. ``name`` is rendered."""

    task: Task
    name: str
    items: tuple[Item, ...]
    looped: bool
    check: bool
    diff: bool
    hidden: bool
    ignore_errors: bool
    user: str | None
    seconds: float
    isolated: bool
    notify: tuple[str, ...]
    handler: bool = False

    @property
    def remote(self) -> bool:
        return any(item.value is None for item in self.items)

    @property
    def alone(self) -> bool:
        """Whether it is done with the connection itself: nothing may travel with it."""
        return self.task.module.where == "link"

    @property
    def delegated(self) -> bool:
        """Whether the VM that does it is not the play's own."""
        return any(item.value is None and item.delegate is not None for item in self.items)

    @property
    def needs_root(self) -> bool:
        """Whether the agent must be root for it: it does what another user than the login user is to do."""
        return self.remote and self.user != LOGIN_USER

    @property
    def judged_here(self) -> bool:
        """Whether only the controller can say if it failed: nothing may follow it in its batch."""
        conditions = [source.value for source in self.task.failed_when]
        return self.repeats or (bool(conditions) and conditions != [False])

    @property
    def repeats(self) -> bool:
        """Whether it may be done again: until what it says, or with ``retries`` alone until it succeeds."""
        return bool(self.task.until) or self.task.retries is not None

    @property
    def never_fails(self) -> bool:
        return [source.value for source in self.task.failed_when] == [False]

    def op(self) -> Op:
        """The agent's request: the module itself, or a series of it for a loop."""
        todo = [item for item in self.items if item.value is None]
        stop = not (self.ignore_errors or self.judged_here or self.never_fails)
        common: dict[str, Any] = {
            "isolated": self.isolated,
            "user": self.user,
            "stop_on_failure": stop,
            "check": self.check,
            "diff": self.diff and not self.hidden,
        }
        if not self.looped:
            return Op(self.task.module.op, todo[0].remote_args, deadline=self.seconds, **common)
        steps = [dict(item.remote_args) for item in todo]
        pause = self.task.loop.pause if self.task.loop else 0.0
        deadline = (self.seconds + pause) * len(steps)
        args = {"module": self.task.module.op, "steps": steps, "pause": pause, "seconds": self.seconds}
        return Op("modules.series", args, deadline=deadline, **common)


@dataclass(frozen=True)
class Mode:
    """The run's own wishes. ``quiet``: rendered only to find mistakes, nothing is done here."""

    check: bool = False
    diff: bool = False
    quiet: bool = False


def prepare(task: Task, scope: Scope, mode: Mode) -> Prepared:
    """Make ``task`` ready on the host whose ``scope`` is given.

    Raises PlaybookError for what is wrong in it, NeedsResult or NeedsFacts when it depends on what
    only the VM can tell.
    """
    templar = scope.templar
    scope.touched = False
    check = _flag(task.check_mode, scope, mode.check)
    elements = None if task.loop is None else _elements_or_none(task, scope)
    if elements is None:
        items = [_item(task, scope, quiet=mode.quiet)]
    else:
        items = _rounds(task, scope, elements, quiet=mode.quiet)
    timeout = task.timeout and float(_number(task.timeout, scope))
    return Prepared(
        task=task,
        name=_name(task, scope),
        items=tuple(items),
        looped=elements is not None,
        check=check,
        diff=_flag(task.diff, scope, mode.diff),
        hidden=_flag(task.no_log, scope, False),
        ignore_errors=_flag(task.ignore_errors, scope, False),
        user=_user(task, scope),
        seconds=timeout or _seconds(task, items),
        isolated=task.module.isolated or bool(timeout),
        notify=tuple(str(templar.render(source.value, source.place, scope)) for source in task.notify),
    )


def _seconds(task: Task, items: list[Item]) -> float:
    """How long the VM may take. wait_for's own timeout is the author's word."""
    longest = task.module.seconds
    for item in items:
        for word in ("timeout", "lock_timeout", "delay"):
            value = item.remote_args.get(word)
            if isinstance(value, int | float):
                longest = max(longest, value + 15.0)
    return longest


def _elements_or_none(task: Task, scope: Scope) -> list[Any] | None:
    """What the loop goes over; None when that cannot be told and the task is skipped without it."""
    try:
        return _elements(task, scope)
    except PlaybookError:
        try:
            if _unmet(task, scope) is not None:
                return None
        except PlaybookError:
            pass  # it names the loop's variable: the loop's own mistake is the one to tell
        raise


def _rounds(task: Task, scope: Scope, elements: list[Any], *, quiet: bool) -> list[Item]:
    """A loop's rounds. What set_fact sets in one, the next ones see."""
    items = []
    for index, element in enumerate(elements):
        item = _looped(task, scope, element, index, quiet=quiet)
        items.append(item)
        if task.module.name == "set_fact" and item.value and item.value.get("ansible_facts"):
            kind: Literal["remote", "final"] = "remote" if item.value.get("_remote") else "final"
            scope = scope.with_layer(Layer("set_fact", item.value["ansible_facts"], kind))
    return items


def _looped(task: Task, scope: Scope, element: Any, index: int, *, quiet: bool) -> Item:
    loop = task.loop
    assert loop is not None
    values = {loop.variable: element, "ansible_loop_var": loop.variable}
    if loop.index:
        values |= {loop.index: index, "ansible_index_var": loop.index}
    layer = Layer("loop", values, "remote" if scope.touched else "final")
    inner = scope.with_layer(layer)
    item = _item(task, inner, quiet=quiet)
    label = inner.templar.render(loop.label.value, loop.label.place, inner) if loop.label else _shown(element)
    return replace(item, label=str(label), layer=layer)


def _shown(element: Any) -> str:
    return str(masked(element) if isinstance(element, Mapping) else element)


def _elements(task: Task, scope: Scope) -> list[Any]:
    loop = task.loop
    assert loop is not None
    value = scope.templar.render(loop.items.value, loop.items.place, scope)
    if loop.flatten and not isinstance(value, list) and value is not OMIT:
        value = [value]  # with_items takes one for a list of it
    if not isinstance(value, list):
        raise PlaybookError(
            f"the loop gave {type(value).__name__} {value!r}, not a list", place=loop.items.place
        )
    if loop.flatten:
        return [one for part in value for one in (part if isinstance(part, list) else [part])]
    return value


def _unmet(task: Task, scope: Scope) -> Source | None:
    """The first of the task's conditions that does not hold."""
    for condition in task.when:
        if not scope.templar.truth(condition.value, condition.place, scope):
            return condition
    return None


def _item(task: Task, scope: Scope, *, quiet: bool) -> Item:
    unmet = _unmet(task, scope)
    if unmet is not None:
        value = {
            "changed": False,
            "skipped": True,
            "skip_reason": "Conditional result was False",
            "false_condition": unmet.value,
        }
        return Item(scope, {}, value)
    module = task.module
    scope.touched = False
    if module.name == "assert":
        return Item(scope, {}, here.run_assert(task, scope))
    rendered = scope.templar.render(task.args.value, task.args.place, scope)
    if module.open_ended:
        # the names of set_fact's variables may be templates too
        place = task.args.place
        rendered = {str(scope.templar.render(name, place, scope)): value for name, value in rendered.items()}
    given = {name: value for name, value in rendered.items() if value is not OMIT}
    try:
        args = complete(module, given)
    except BadValue as err:
        raise PlaybookError(f"{module.name}: {err}", place=task.args.place) from err
    if task.include is not None:
        included = task.include({name: args[name] for name in given if name != "apply"})
        return Item(scope, args, {"changed": False, "include_args": dict(given)}, included=included)
    if module.name == "include_vars":
        variables, found = include_vars.read(task, args, scope)
        told = {"changed": False, "ansible_included_var_files": found}
        return Item(scope, args, told, variables=variables)
    if module.where == "here":
        value = here.run(module.name, args, scope, task) if not quiet or module.name == "set_fact" else {}
        return Item(scope, args, value, given=frozenset(given))
    try:
        remote = send.complete(task, args, scope) if module.where != "vm" else dict(args)
    except BadValue as err:
        raise PlaybookError(f"{module.name}: {err}", place=task.args.place) from err
    environment = _environment(task, scope)
    if environment:
        remote["_environment"] = environment
    if module.name == "shell":
        remote["_uses_shell"] = True
    paths = _to_fill(module, remote)
    if paths:
        remote["_paths"] = paths
    names = frozenset(map(str, given))
    return Item(scope, args, None, given=names, remote_args=remote, delegate=_delegate(task, scope))


def _to_fill(module: Module, remote: Mapping[str, Any]) -> list[str]:
    """The parameters in which the VM has to fill in ``~`` or a variable of its environment."""
    if module.where == "link":
        return []
    named = [name for name, param in module.params.items() if param.kind == "path" and name in remote]
    named += ["remote_path"] if "remote_path" in remote else []
    return [name for name in named if "$" in remote[name] or remote[name].startswith("~")]


def _delegate(task: Task, scope: Scope) -> str | None:
    source = task.delegate_to
    if source is None:
        return None
    name = scope.templar.render(source.value, source.place, scope)
    if name is OMIT:
        return None
    if not isinstance(name, str) or not name:
        raise PlaybookError(f"delegate_to takes a host's name, not {name!r}", place=source.place)
    return name


def _environment(task: Task, scope: Scope) -> dict[str, str]:
    merged: dict[str, str] = {}
    for source in task.environment:
        value = scope.templar.render(source.value, source.place, scope)
        for one in value if isinstance(value, list) else [value]:
            if not isinstance(one, Mapping):
                raise PlaybookError(f"environment takes a mapping, not {one!r}", place=source.place)
            merged.update({str(name): str(item) for name, item in one.items()})
    return merged


def _name(task: Task, scope: Scope) -> str:
    if task.name is None:
        return task_name(task)
    try:
        return task_name(task, str(scope.templar.render(task.name.value, task.name.place, scope)))
    except PlaybookError:
        return task_name(task)  # a name is no reason to fail; Ansible shows it unrendered too


def task_name(task: Task, name: str = "") -> str:
    """How a task is shown, as Ansible does: with its role before it. ``name`` is rendered."""
    shown = name or (str(task.name.value) if task.name else task.module.name)
    if task.module.name == "include_role":
        return shown if task.name else f"include_role : {task.args.value['name']}"
    return f"{task.role.name} : {shown}" if task.role else shown


def runs_once(task: Task, scope: Scope) -> bool:
    """Whether one host does the task for all."""
    return _flag(task.run_once, scope, False)


def _flag(source: Source | None, scope: Scope, default: bool) -> bool:
    if source is None:
        return default
    try:
        return to_bool(scope.templar.render(source.value, source.place, scope))
    except BadValue as err:
        raise PlaybookError(str(err), place=source.place) from err


def hides(task: Task, scope: Scope, err: PlaybookError) -> bool:
    """Whether ``no_log`` keeps ``err`` from being shown, which may have values in it. Where that cannot be
    told, it does. A name that is not defined has none.
    """
    if isinstance(err.__cause__, Used | NotGiven):
        return False
    try:
        return _flag(task.no_log, scope, False)
    except (PlaybookError, NeedsResult, NeedsFacts):
        return True


def _number(source: Source, scope: Scope) -> float:
    value = scope.templar.render(source.value, source.place, scope)
    try:
        return float(value)
    except (TypeError, ValueError) as err:
        raise PlaybookError(f"{value!r} is not a number", place=source.place) from err


def ignores_errors(task: Task, scope: Scope) -> bool:
    """Whether a failure of ``task`` is to be ignored; what cannot be told yet is not."""
    try:
        return _flag(task.ignore_errors, scope, False)
    except (PlaybookError, NeedsResult, NeedsFacts):
        return False


def number_of(source: Source | None, scope: Scope, default: float) -> float:
    """``retries`` or ``delay``, rendered."""
    return default if source is None else _number(source, scope)


def _user(task: Task, scope: Scope) -> str | None:
    """Whom the task runs as: None for root. The inventory's word wins over the playbook's, as in Ansible."""
    method = _said("ansible_become_method", scope)
    if method is not None and scope.templar.render(method, task.place, scope) not in _SUDO:
        raise PlaybookError("ansible_become_method is not covered: sudo is", place=task.place)
    become = _said("ansible_become", scope)
    flag = task.privilege.become if become is None else Source(become, task.place)
    if not _flag(flag, scope, False):
        return LOGIN_USER
    named = _said("ansible_become_user", scope)
    source = task.privilege.user if named is None else Source(named, task.place)
    if source is None:
        return None
    user = str(scope.templar.render(source.value, source.place, scope))
    return None if user == "root" else user


_SUDO = ("sudo", "ansible.builtin.sudo")


def _said(name: str, scope: Scope) -> str | None:
    """A template for a variable that stands in for a word of the task's; None where it is not set."""
    value = scope.lookup(name)
    return None if value is missing or value is None else f"{{{{ {name} }}}}"
