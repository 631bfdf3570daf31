"""What tasks take over from what they stand in: the play, its roles, blocks and task files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl.errors import PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook.files import PlayFiles
from labctl.playbook.keywords import ENGINE_HINT
from labctl.playbook.model import Block, Privilege, Role, Source, Task
from labctl.playbook.template import Templar, is_template

# Inherited one by one: the innermost that says something wins.
_WORDS = ("check_mode", "diff", "no_log", "ignore_errors", "timeout", "delegate_to", "run_once")


@dataclass(frozen=True)
class OwnRole:
    """What one role itself brings, without its parents and dependencies."""

    name: str
    path: Path
    defaults: Map
    vars: Map
    call_vars: Mapping[str, Any]
    params: Mapping[str, Any]


@dataclass(frozen=True)
class Readers:
    """Read a list of tasks or of handlers. Roles and includes hold such lists, and lists hold them."""

    items: Callable[[Seq, Inherited], tuple[Task | Block, ...]]
    handlers: Callable[[Seq, Inherited], tuple[Task, ...]]


@dataclass(frozen=True)
class Inherited:
    """What a task takes over. ``chain`` are the roles that it stands in, outermost first.

    ``file`` is the file that holds it, ``importing`` the files and roles that led there.
    """

    files: PlayFiles
    file: Path
    read: Readers
    when: tuple[Source, ...] = ()
    tags: frozenset[str] = frozenset()
    vars: tuple[Mapping[str, Any], ...] = ()
    environment: tuple[Source, ...] = ()
    privilege: Privilege = field(default_factory=Privilege)
    words: Mapping[str, Source] = field(default_factory=dict)
    chain: tuple[OwnRole, ...] = ()
    role: Role | None = None
    importing: tuple[Path, ...] = ()

    @property
    def templar(self) -> Templar:
        """Searches files as Ansible does: the roles inside out, the task file's directory, the playbook's."""
        roles = tuple(role.path for role in reversed(self.chain))
        return self.files.templar((*roles, self.file.parent.resolve()))

    def under(self, item: Map, *, keep_vars: bool = True) -> Inherited:
        """The inheritance of what stands inside ``item``."""
        templar = self.templar
        variables = item.get("vars")
        if variables is not None and not isinstance(variables, Map):
            raise PlaybookError("vars is a mapping: name: value", place=item.at("vars"))
        if variables:
            templar.check(variables, item.at("vars"))
        environment = source_of(item, "environment", templar)
        method = item.get("become_method", "sudo")
        if method != "sudo":
            raise PlaybookError(
                f"become_method {method!r} is not covered: sudo is", place=item.at("become_method")
            )
        words = dict(self.words)
        for word in _WORDS:
            source = source_of(item, word, templar)
            if source is not None:
                words[word] = source
        return replace(
            self,
            when=(*self.when, *conditions_of(item, "when", templar)),
            tags=self.tags | tags_of(item),
            vars=(*self.vars, variables) if variables and keep_vars else self.vars,
            environment=(*self.environment, environment) if environment else self.environment,
            privilege=Privilege(
                become=source_of(item, "become", templar) or self.privilege.become,
                user=source_of(item, "become_user", templar) or self.privilege.user,
            ),
            words=words,
        )

    def in_file(self, path: Path) -> Inherited:
        """The inheritance of the tasks in another file."""
        return replace(self, file=path)


def source_of(item: Map, word: str, templar: Templar) -> Source | None:
    """The value of ``word`` with its place, its templates compiled; None when it is not given."""
    value = item.get(word)
    return None if value is None else checked(Source(value, item.at(word)), templar)


def checked(source: Source, templar: Templar) -> Source:
    """``source``, once its templates have been compiled."""
    templar.check(source.value, source.place)
    return source


def conditions_of(item: Map, word: str, templar: Templar) -> tuple[Source, ...]:
    """One expression or a list of them. Raises PlaybookError for what cannot be one."""
    value = item.get(word)
    if value is None:
        return ()
    if isinstance(value, Seq):
        sources = [Source(one, value.at(index)) for index, one in enumerate(value)]
    else:
        sources = [Source(value, item.at(word))]
    for source in sources:
        if not isinstance(source.value, str | bool):
            raise PlaybookError(f"{word} takes an expression, not {source.value!r}", place=source.place)
        templar.check_expression(source.value, source.place)
    return tuple(sources)


def tags_of(item: Map) -> frozenset[str]:
    """The tags that ``item`` itself has."""
    value = item.get("tags")
    if value is None:
        return frozenset()
    listed = value if isinstance(value, Seq) else [value]
    tags: set[str] = set()
    for one in listed:
        if not isinstance(one, str | int):
            raise PlaybookError(f"tags are words, not {one!r}", place=item.at("tags"))
        if is_template(str(one)):
            raise PlaybookError(
                f"tags are words, and {one!r} is a template: it would be filled in only after the choice",
                hint=f"write the words themselves; {ENGINE_HINT}",
                place=item.at("tags"),
            )
        tags.update(part.strip() for part in str(one).split(",") if part.strip())
    return frozenset(tags)
