"""Reading an inventory in Ansible's YAML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.documents import Map, load_yaml, nearest
from labctl.errors import InventoryError, Place
from labctl.inventory.model import Group, Host, Inventory

_GROUP_KEYS = ("hosts", "children", "vars")
_RANGE = re.compile(r"\[(\w+):(\w+)(?::(\d+))?\]")


@dataclass
class _Draft:
    """A group while the file is read."""

    hosts: list[str] = field(default_factory=list)
    children: list[str] = field(default_factory=list)
    variables: dict[str, Any] = field(default_factory=dict)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.groups: dict[str, _Draft] = {"all": _Draft()}
        self.host_variables: dict[str, dict[str, Any]] = {}

    def read_group(self, name: str, body: Any, place: Place) -> None:
        draft = self.groups.setdefault(name, _Draft())
        if body is None:
            return
        body = _mapping(body, place, f"the group {name}")
        for key in body:
            if key not in _GROUP_KEYS:
                near = nearest(str(key), _GROUP_KEYS)
                raise InventoryError(
                    f"the group {name} cannot hold {key!r}; it takes hosts, children and vars",
                    hint=f"did you mean {near}?" if near else "variables of the group go under vars:",
                    place=body.key_at(key),
                )
        draft.variables.update(_optional(body, "vars"))
        for pattern, variables in _optional(body, "hosts").items():
            hosts = body["hosts"]
            self.read_hosts(draft, str(pattern), variables, hosts.at(pattern), hosts.key_at(pattern))
        for child, child_body in _optional(body, "children").items():
            if child not in draft.children:
                draft.children.append(str(child))
            self.read_group(str(child), child_body, body["children"].at(child))

    def read_hosts(self, draft: _Draft, pattern: str, body: Any, place: Place, key_place: Place) -> None:
        variables = {} if body is None else _mapping(body, place, f"the host {pattern}")
        for name in _expand(pattern, key_place):
            if name not in draft.hosts:
                draft.hosts.append(name)
            self.host_variables.setdefault(name, {}).update(variables)

    def inventory(self) -> Inventory:
        for name, draft in self.groups.items():
            if name != "all" and not any(name in other.children for other in self.groups.values()):
                self.groups["all"].children.append(name)
            del draft
        depth = self._depths()
        members = {name: tuple(dict.fromkeys(self._members(name, ()))) for name in self.groups}
        everyone = tuple(dict.fromkeys([*members["all"], *self.host_variables]))
        members["all"] = everyone
        hosts = {}
        for host in everyone:
            # Ansible's order: parents before children, by name at the same depth, the host last.
            inside = sorted((g for g in self.groups if host in members[g]), key=lambda g: (depth[g], g))
            variables: dict[str, Any] = {}
            for group in inside:
                variables.update(self.groups[group].variables)
            variables.update(self.host_variables.get(host, {}))
            hosts[host] = Host(host, variables, tuple(g for g in inside if g != "all"))
        ordered = {
            name: Group(name, members[name], tuple(draft.children)) for name, draft in self.groups.items()
        }
        return Inventory(hosts, ordered, self.path)

    def _members(self, name: str, above: tuple[str, ...]) -> Iterator[str]:
        if name in above:
            chain = " -> ".join([*above, name])
            raise InventoryError(f"groups contain each other: {chain}", place=Place(self.path))
        yield from self.groups[name].hosts
        for child in self.groups[name].children:
            yield from self._members(child, (*above, name))

    def _depths(self) -> dict[str, int]:
        depth = {"all": 0}

        def visit(name: str, at: int, above: tuple[str, ...]) -> None:
            if name in above:
                chain = " -> ".join([*above, name])
                raise InventoryError(f"groups contain each other: {chain}", place=Place(self.path))
            depth[name] = max(at, depth.get(name, 0))
            for child in self.groups[name].children:
                visit(child, at + 1, (*above, name))

        visit("all", 0, ())
        return {name: depth.get(name, 1) for name in self.groups}


def load_inventory(path: Path) -> Inventory:
    """Read the inventory at ``path``. Raises :class:`InventoryError` with file, line and column."""
    document = load_yaml(path, InventoryError)
    reader = _Reader(path)
    if document is None:
        raise InventoryError("the inventory is empty", place=Place(path))
    for name, body in _mapping(document, Place(path, 1, 1), "an inventory").items():
        reader.read_group(str(name), body, document.at(name))
    return reader.inventory()


def _mapping(value: Any, place: Place, what: str) -> Map:
    if not isinstance(value, Map):
        raise InventoryError(f"{what} must be a mapping, not {type(value).__name__}", place=place)
    return value


def _optional(body: Map, key: str) -> Map | dict[str, Any]:
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, Map):
        hint = "write each name on a line of its own, with a colon after it" if key != "vars" else ""
        raise InventoryError(f"{key}: must be a mapping", hint=hint, place=body.at(key))
    return value


def _expand(pattern: str, place: Place) -> Iterator[str]:
    """``web[01:10]`` is ten hosts, ``db-[a:c]`` three."""
    match = _RANGE.search(pattern)
    if not match:
        yield pattern
        return
    first, last, step = match[1], match[2], int(match[3] or 1)
    before, after = pattern[: match.start()], pattern[match.end() :]
    if first.isdigit() and last.isdigit() and int(first) <= int(last) and step:
        width = len(first) if first.startswith("0") else 0
        values = [str(n).zfill(width) for n in range(int(first), int(last) + 1, step)]
    elif len(first) == len(last) == 1 and first.isalpha() and last.isalpha() and first <= last and step:
        values = [chr(c) for c in range(ord(first), ord(last) + 1, step)]
    else:
        raise InventoryError(
            f"{match[0]} is not a range: write [1:20], [01:20] or [a:f], the smaller end first", place=place
        )
    for value in values:
        yield from _expand(before + value + after, place)
