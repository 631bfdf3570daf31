"""An inventory while its files are read: what every reader adds to, and how it comes together.

The rules are those of ansible-core's ``InventoryData``: every group is in ``all``, a host that is in no
other group is in ``ungrouped``, and a group's depth is its longest way down from ``all``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.errors import InventoryError, Place
from labctl.inventory.model import Group, Host, Inventory
from labctl.inventory.names import check_host, check_variable
from labctl.inventory.vars_files import Layers, VarsDirectory
from labctl.placed import Map

_PRIORITY = "ansible_group_priority"


@dataclass
class _Group:
    variables: Map
    hosts: dict[str, None] = field(default_factory=dict)
    children: dict[str, None] = field(default_factory=dict)
    parents: dict[str, None] = field(default_factory=dict)
    priority: int = 1


@dataclass
class _Host:
    variables: Map
    file: Path


class Draft:
    """Groups and hosts in the making. The methods that add raise :class:`InventoryError` at ``place``."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = tuple(paths)
        self._groups: dict[str, _Group] = {}
        self._hosts: dict[str, _Host] = {}
        start = Place(paths[0] if paths else Path("<inventory>"))
        for name in ("all", "ungrouped"):
            self.add_group(name, start)
        self.add_child("all", "ungrouped", start)

    def has_group(self, name: str) -> bool:
        return name in self._groups

    def add_group(self, name: str, place: Place) -> None:
        """Add a group, unless it is there already."""
        if not name:
            raise InventoryError("a group needs a name", place=place)
        self._groups.setdefault(name, _Group(Map(place)))

    def add_child(self, parent: str, child: str, place: Place) -> None:
        """Put the group ``child`` into ``parent``; both have been added."""
        way = self._way(child, parent)
        if way:
            raise InventoryError(f"groups contain each other: {' -> '.join([parent, *way])}", place=place)
        self._groups[parent].children[child] = None
        self._groups[child].parents[parent] = None

    def _way(self, start: str, end: str) -> list[str]:
        """The groups from ``start`` down to ``end``, none when there is no such way."""
        if start == end:
            return [end]
        for child in self._groups[start].children:
            rest = self._way(child, end)
            if rest:
                return [start, *rest]
        return []

    def add_host(self, group: str, name: str, port: int | None, place: Place) -> None:
        """Put a host into a group. The port counts where the host is named first, as in Ansible."""
        if not name:
            raise InventoryError("a host needs a name", place=place)
        check_host(name, place)
        if name not in self._hosts:
            self._hosts[name] = _Host(Map(place), place.path.absolute())
            if port:
                self._hosts[name].variables.put("ansible_port", port, place, place)
        self._groups[group].hosts[name] = None

    def set_host(self, host: str, name: Any, value: Any, places: tuple[Place, Place], **how: bool) -> None:
        """Set a host's variable; ``places`` are the name's and the value's. ``how``: see set_group."""
        if host in self._groups:
            # A group of the same name gets the host's variables: Ansible looks for groups first.
            self.set_group(host, name, value, places, **how)
        else:
            check_variable(name, places[0])
            _put(self._hosts[host].variables, name, value, places, **how)

    def set_group(
        self, group: str, name: Any, value: Any, places: tuple[Place, Place], *, weak: bool = False
    ) -> None:
        """Set a group's variable, when ``weak`` only if it has none of that name yet."""
        check_variable(name, places[0])
        if name != _PRIORITY:
            _put(self._groups[group].variables, name, value, places, weak=weak)
            return
        try:
            self._groups[group].priority = int(value)
        except (TypeError, ValueError) as err:
            raise InventoryError(f"{_PRIORITY} must be a number, not {value!r}", place=places[1]) from err

    def inventory(self, directories: Iterable[Path]) -> Inventory:
        """The inventory, with the ``group_vars`` and ``host_vars`` in ``directories`` read."""
        self._reconcile()
        beside = [VarsDirectory(directory) for directory in dict.fromkeys(directories)]
        depths: dict[str, int] = {}
        ranks = {name: (self._depth(name, depths), g.priority, name) for name, g in self._groups.items()}
        groups = {
            name: Group(name, self._members(name), tuple(g.children)) for name, g in self._groups.items()
        }
        inside: dict[str, list[str]] = {name: [] for name in self._hosts}
        for name in sorted(self._groups, key=ranks.__getitem__):
            if name != "all":
                for member in groups[name].hosts:
                    inside[member].append(name)
        hosts = {}
        for name in groups["all"].hosts:
            mine, host = inside[name], self._hosts[name]
            layers = Layers(
                groups=(
                    self._groups["all"].variables,
                    *(self._groups[group].variables for group in mine),
                    *(directory.group("all") for directory in beside),
                ),
                groups_beside=tuple(d.group(group) for d in beside for group in mine),
                own=(host.variables, *(directory.host(name) for directory in beside)),
            )
            hosts[name] = Host(name, layers.merged(), tuple(mine), layers, host.file)
        return Inventory(hosts, groups, self._paths)

    def _reconcile(self) -> None:
        for name, group in self._groups.items():
            if name != "all" and not group.parents:
                self.add_child("all", name, group.variables.place)
        ungrouped = self._groups["ungrouped"].hosts
        grouped = {
            host
            for name, group in self._groups.items()
            if name not in ("all", "ungrouped")
            for host in group.hosts
        }
        for name in self._hosts:
            if name in grouped:
                ungrouped.pop(name, None)
            else:
                ungrouped[name] = None

    def _depth(self, name: str, known: dict[str, int]) -> int:
        if name not in known:
            parents = self._groups[name].parents
            known[name] = 1 + max((self._depth(parent, known) for parent in parents), default=-1)
        return known[name]

    def _members(self, name: str) -> tuple[str, ...]:
        """A group's hosts: its own, then its children's, level by level."""
        found: dict[str, None] = {}
        level = {name: None}
        seen: set[str] = set()
        while level:
            seen.update(level)
            for group in level:
                found.update(self._groups[group].hosts)
            below = dict.fromkeys(child for group in level for child in self._groups[group].children)
            level = {child: None for child in below if child not in seen}
        return tuple(found)


def _put(variables: Map, name: str, value: Any, places: tuple[Place, Place], *, weak: bool = False) -> None:
    if not (weak and name in variables):
        variables.put(name, value, *places)
