"""Reading an inventory in Ansible's INI: sections of hosts, of child groups and of variables."""

from __future__ import annotations

import ast
import io
import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.documents import did_you_mean
from labctl.errors import InventoryError, Place
from labctl.inventory.draft import Draft
from labctl.inventory.names import STUDENT, expand, split_port

_SECTION = re.compile(r"\[(?P<group>[^:\]\s]+)(?::(?P<kind>\w+))?\]\s*(?:#.*)?")
_CHILD = re.compile(r"(?P<group>[^:\]\s]+)\s*(?:#.*)?")
_KINDS = ("hosts", "children", "vars")


def read_ini(path: Path, text: str, draft: Draft) -> None:
    """Add the groups and hosts of ``text``, the file's, to ``draft``. Raises :class:`InventoryError`."""
    reader = _Reader(path, draft)
    for number, line in enumerate(text.splitlines(), 1):
        reader.line(_Line(path, number, line))
    reader.finish()


@dataclass(frozen=True)
class _Line:
    path: Path
    number: int
    raw: str

    @property
    def text(self) -> str:
        return self.raw.strip()

    def at(self, index: int = 0) -> Place:
        """The place of the character ``index`` of ``text``."""
        indent = len(self.raw) - len(self.raw.lstrip())
        return Place(self.path, self.number, indent + index + 1, self.raw)


@dataclass
class _Reader:
    """``wanted`` are groups that a section has named and none has defined yet: the parents, the error."""

    path: Path
    draft: Draft
    group: str = "ungrouped"
    kind: str = "hosts"
    wanted: dict[str, tuple[list[tuple[str, Place]], InventoryError]] = field(default_factory=dict)

    def line(self, line: _Line) -> None:
        if not line.text or line.text[0] in ";#":
            return
        section = _SECTION.fullmatch(line.text)
        if section:
            self.section(section["group"], section["kind"], line)
        elif line.text[0] == "[" and line.text[-1] == "]":
            raise InventoryError(
                "not a section", hint="write [group], [group:children] or [group:vars]", place=line.at()
            )
        else:
            {"hosts": self.hosts, "children": self.child, "vars": self.variable}[self.kind](line)

    def section(self, group: str, kind: str | None, line: _Line) -> None:
        if kind not in (None, *_KINDS):
            raise InventoryError(
                f"a section is [{group}], [{group}:children] or [{group}:vars], not [{group}:{kind}]",
                hint=did_you_mean(str(kind), _KINDS),
                place=line.at(line.text.index(":") + 1),
            )
        self.group, self.kind = group, kind or "hosts"
        known = self.draft.has_group(group)
        self.draft.add_group(group, line.at())
        if self.kind == "vars":
            if not known and group not in self.wanted:
                self.wanted[group] = (
                    [],
                    InventoryError(
                        f"[{group}:vars] is for a group that no section defines",
                        hint=f"add [{group}] with its hosts, or [{group}:children]",
                        place=line.at(1),
                    ),
                )
        elif group in self.wanted:
            for parent, place in self.wanted.pop(group)[0]:
                self.draft.add_child(parent, group, place)

    def hosts(self, line: _Line) -> None:
        words = list(_words(line))
        pattern, place = words[0]
        names, port = split_port(pattern, place)
        variables = []
        for word, place in words[1:]:
            name, equals, value = word.partition("=")
            if not equals:
                raise InventoryError(
                    f"{word!r} is not a host's variable",
                    hint="after the host come name=value words; a host has a line of its own",
                    place=place,
                )
            variables.append((name, _value_of(name, value, place), place))
        for host in expand(names, words[0][1]):
            self.draft.add_host(self.group, host, port, words[0][1])
            for name, value, place in variables:
                self.draft.set_host(host, name, value, (place, place))

    def variable(self, line: _Line) -> None:
        name, equals, value = line.text.partition("=")
        if not equals:
            raise InventoryError("not a variable", hint="write name = value", place=line.at())
        value_at = line.at(len(name) + 1 + len(value) - len(value.lstrip()))
        name, places = name.strip(), (line.at(), value_at)
        self.draft.set_group(self.group, name, _value_of(name, value.strip(), value_at), places)

    def child(self, line: _Line) -> None:
        match = _CHILD.fullmatch(line.text)
        if not match:
            raise InventoryError(
                f"not the name of a group, and [{self.group}:children] lists groups",
                hint=f"hosts go under [{self.group}], variables under [{self.group}:vars]",
                place=line.at(),
            )
        child = match["group"]
        if self.draft.has_group(child):
            self.draft.add_child(self.group, child, line.at())
            return
        error = InventoryError(
            f"[{self.group}:children] names a group that no section defines: {child}",
            hint=f"add [{child}] with its hosts",
            place=line.at(),
        )
        self.wanted.setdefault(child, ([], error))[0].append((self.group, line.at()))

    def finish(self) -> None:
        for _parents, error in self.wanted.values():
            raise error


def _words(line: _Line) -> Iterator[tuple[str, Place]]:
    """The words of a host's line as a shell sees them, without comments, each with its place."""
    stream = io.StringIO(line.text)
    lexer = shlex.shlex(stream, posix=True)
    lexer.whitespace_split = True
    while True:
        start = stream.tell()
        start += len(line.text[start:]) - len(line.text[start:].lstrip())
        try:
            word = lexer.get_token()
        except ValueError as err:
            raise InventoryError(
                f"the line cannot be split into words: {str(err).lower()}",
                hint="close the quote, or put a backslash before it",
                place=line.at(start),
            ) from err
        if word is None:
            return
        yield word, line.at(start)


def _value_of(name: str, text: str, place: Place) -> Any:
    value = _value(text, place)
    return text if name.startswith(STUDENT) and not isinstance(value, (str, list, dict)) else value


def _value(text: str, place: Place) -> Any:
    """A Python literal where ``text`` is one, else ``text`` itself: Ansible's rule."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return _plain(ast.literal_eval(text), place)
    except (ValueError, SyntaxError):
        return text
    except TypeError as err:
        # A set of sets, for Python: Ansible cannot read {{ 1 }} here either.
        raise InventoryError(
            f"{text} is not a value: {err}",
            hint=f"""quote it, in a host's line twice: '"{text}"'""",
            place=place,
        ) from err
    except (RecursionError, MemoryError) as err:
        raise InventoryError("the value is nested too deeply", place=place) from err


def _plain(value: Any, place: Place) -> Any:
    """A literal with the kinds of values only that YAML knows too."""
    if isinstance(value, (list, tuple, set)):
        return [_plain(item, place) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item, place) for key, item in value.items()}
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError as err:
            raise InventoryError("the bytes are not UTF-8 text", place=place) from err
    if value is ...:
        return "..."
    return str(value) if isinstance(value, complex) else value
