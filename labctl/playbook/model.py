"""What a playbook is once it is loaded: plays, tasks and blocks, every part with its place.

Values are kept as their author wrote them (templates unrendered); ``Map`` and ``Seq`` inside them
know where each of their own values stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.errors import Place
from labctl.playbook.schema import Module


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
class Task:
    """One task or handler, with what it inherits from its blocks already folded in."""

    name: Source | None
    module: Module
    args: Source
    place: Place
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


@dataclass(frozen=True)
class Block:
    """A block that catches failures. One that does not is folded into its tasks by the loader."""

    body: tuple[Task | Block, ...]
    rescue: tuple[Task | Block, ...]
    always: tuple[Task | Block, ...]
    place: Place


@dataclass(frozen=True)
class Play:
    """``sections`` are pre_tasks, tasks and post_tasks: handlers run after each of them."""

    name: str
    hosts: Source
    place: Place
    gather_facts: bool
    vars: Mapping[str, Any]
    vars_files: tuple[Mapping[str, Any], ...]
    sections: tuple[tuple[Task | Block, ...], ...]
    handlers: tuple[Task, ...]
    force_handlers: bool = False


@dataclass(frozen=True)
class Playbook:
    """A loaded playbook. ``template_dirs`` are searched in order for templates and files."""

    path: Path
    plays: tuple[Play, ...]
    template_dirs: tuple[Path, ...] = ()

    @property
    def directory(self) -> Path:
        return self.path.parent
