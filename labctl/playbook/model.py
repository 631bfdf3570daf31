"""What a playbook is once it is loaded: plays, roles, tasks and blocks, every part with its place.

Values are kept as their author wrote them (templates unrendered); ``Map`` and ``Seq`` inside them
know where each of their own values stands.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import Place
from labctl.playbook.schema import Module

if TYPE_CHECKING:
    from labctl.playbook.template import Templar


@dataclass(frozen=True)
class Source:
    """A value as written, and where."""

    value: Any
    place: Place


@dataclass(frozen=True)
class Loop:
    """``items`` is a list or a template that gives one. ``flatten`` is with_items' one level."""

    items: Source
    flatten: bool = False
    variable: str = "item"
    index: str | None = None
    label: Source | None = None
    pause: float = 0.0


@dataclass(frozen=True)
class Privilege:
    """``become`` and ``become_user`` as inherited; each may be a template."""

    become: Source | None = None
    user: Source | None = None


@dataclass(frozen=True)
class Role:
    """What a role's tasks see besides the play's variables; each tuple is weakest first.

    ``defaults`` and ``vars`` hold its dependencies', its parents' and its own; ``params`` are the words
    of its call that are no keywords. ``own_defaults`` and ``exports``, without the parents', are what the
    whole play sees of it.
    """

    name: str
    path: Path
    defaults: tuple[Mapping[str, Any], ...] = ()
    own_defaults: tuple[Mapping[str, Any], ...] = ()
    vars: tuple[Mapping[str, Any], ...] = ()
    params: tuple[Mapping[str, Any], ...] = ()
    exports: tuple[Mapping[str, Any], ...] = ()
    parents: tuple[str, ...] = ()
    #: It is there as another role's dependency.
    needed: bool = False


@dataclass(frozen=True)
class Included:
    """What an include found. ``public`` are roles whose variables the play sees from now on.

    ``names`` are those of all its roles: they count among the play's from now on.
    """

    items: tuple[Task | Block, ...]
    handlers: tuple[Task, ...] = ()
    public: tuple[Role, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One task or handler, with what it inherits from its blocks already folded in.

    ``templar`` knows where the task's files are searched. ``include`` loads what an include names, given
    its rendered arguments; it raises PlaybookError. ``params`` are an include's vars: what it includes sees
    them above facts and registered results.
    """

    name: Source | None
    module: Module
    args: Source
    place: Place
    templar: Templar = field(repr=False, compare=False)
    role: Role | None = None
    include: Callable[[Mapping[str, Any]], Included] | None = field(default=None, repr=False, compare=False)
    params: Mapping[str, Any] = field(default_factory=dict)
    when: tuple[Source, ...] = ()
    loop: Loop | None = None
    register: str | None = None
    notify: tuple[Source, ...] = ()
    listen: tuple[str, ...] = ()
    tags: frozenset[str] = frozenset()
    vars: tuple[Mapping[str, Any], ...] = ()
    privilege: Privilege = field(default_factory=Privilege)
    changed_when: tuple[Source, ...] = ()
    failed_when: tuple[Source, ...] = ()
    ignore_errors: Source | None = None
    check_mode: Source | None = None
    diff: Source | None = None
    no_log: Source | None = None
    environment: tuple[Source, ...] = ()
    until: tuple[Source, ...] = ()
    retries: Source | None = None
    delay: Source | None = None
    timeout: Source | None = None
    delegate_to: Source | None = None
    run_once: Source | None = None


@dataclass(frozen=True)
class Block:
    """A block that catches failures, or a role's tasks: one that is neither is folded into its tasks.

    ``role`` names the role and how it is called; with ``once`` a play does not carry it out again when
    the same call has been before.
    """

    body: tuple[Task | Block, ...]
    place: Place
    rescue: tuple[Task | Block, ...] = ()
    always: tuple[Task | Block, ...] = ()
    role: Hashable = None
    once: bool = False

    @property
    def catches(self) -> bool:
        return bool(self.rescue or self.always)


def tasks_in(items: Iterable[Task | Block]) -> Iterator[Task]:
    """The tasks among ``items`` and in their blocks, those of ``rescue`` and ``always`` too."""
    for item in items:
        if isinstance(item, Block):
            yield from tasks_in((*item.body, *item.rescue, *item.always))
        else:
            yield item


@dataclass(frozen=True)
class Play:
    """``sections`` are pre_tasks, roles with tasks, and post_tasks: handlers run after each of them.

    ``directory`` is its playbook's, an imported one's own. ``roles`` are those whose variables the whole
    play sees.
    """

    name: str
    hosts: Source
    place: Place
    directory: Path
    templar: Templar = field(repr=False, compare=False)
    gather_facts: bool
    vars: Mapping[str, Any]
    vars_files: tuple[Mapping[str, Any], ...]
    sections: tuple[tuple[Task | Block, ...], ...]
    handlers: tuple[Task, ...]
    roles: tuple[Role, ...] = ()
    force_handlers: bool = False


@dataclass(frozen=True)
class Playbook:
    """A loaded playbook, the plays of those that it imports among its own."""

    path: Path
    plays: tuple[Play, ...]
