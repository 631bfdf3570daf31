"""``group_vars/`` and ``host_vars/``, and the order in which a host's variables override each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labctl.documents import load_yaml, start_of
from labctl.errors import InventoryError, Place
from labctl.inventory.names import STUDENT, check_variable
from labctl.placed import Map

Variables = Mapping[str, Any]

_EXTENSIONS = ("", ".yml", ".yaml", ".json")


class VarsDirectory:
    """A directory that may hold ``group_vars`` and ``host_vars``; each file is read once.

    ``group`` and ``host`` raise :class:`InventoryError` with file, line and column.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.resolve()
        self._known: dict[tuple[str, str], Variables] = {}
        self._there = {kind: (self.directory / kind).is_dir() for kind in ("group_vars", "host_vars")}

    def __bool__(self) -> bool:
        return any(self._there.values())

    def group(self, name: str) -> Variables:
        """The variables that the files give the group ``name``."""
        return self._variables("group_vars", name)

    def host(self, name: str) -> Variables:
        """The variables that the files give the host ``name``."""
        return self._variables("host_vars", name)

    def _variables(self, kind: str, name: str) -> Variables:
        # Ansible leaves out names that are paths from the root, those of chroots.
        if not self._there[kind] or name.startswith("/"):
            return {}
        if (kind, name) not in self._known:
            files = _files(self.directory / kind / name)
            self._known[kind, name] = merged(_read(path) for path in files)
        return self._known[kind, name]


def _files(named: Path) -> Iterator[Path]:
    """The file or directory called so, with one of the extensions: the first that is there."""
    for extension in _EXTENSIONS:
        path = named.with_name(named.name + extension)
        if path.is_dir():
            yield from _inside(path)
            return
        if path.exists():
            yield path
            return


def _inside(directory: Path) -> Iterator[Path]:
    try:
        entries = sorted(entry.name for entry in directory.iterdir())
    except OSError as err:
        raise InventoryError(f"cannot read the directory: {err.strerror}", place=Place(directory)) from err
    for entry in entries:
        path = directory / entry
        if entry.startswith(".") or entry.endswith("~"):
            continue
        if path.is_dir():
            if not path.suffix:
                yield from _inside(path)
        elif path.is_file() and path.suffix in _EXTENSIONS:
            yield path


def _read(path: Path) -> Variables:
    loaded = load_yaml(path, InventoryError, text_keys=STUDENT)
    if not loaded:
        return {}
    if not isinstance(loaded, Map):
        raise InventoryError("a file of variables is a mapping: name: value", place=start_of(loaded, path))
    for name in loaded:
        check_variable(name, loaded.key_at(name))
    return loaded


def merged(layers: Iterable[Variables]) -> Map:
    """``layers``, later ones stronger, as one mapping whose values know where they were written."""
    result = Map(Place(Path("<inventory>")))
    for layer in layers:
        for name, value in layer.items():
            if isinstance(layer, Map):
                result.put(name, value, layer.key_at(name), layer.at(name))
            else:
                result.put(name, value, result.place, result.place)
    return result


@dataclass(frozen=True)
class Layers:
    """A host's variables by where they come from, later ones stronger.

    ``groups``: the groups' in the inventory's files, then ``group_vars/all`` beside it. ``groups_beside``:
    its other ``group_vars``. ``own``: the host's in the files, then ``host_vars``. ``given``: on the command
    line. What lies beside a playbook goes behind each of the first three.
    """

    groups: tuple[Variables, ...] = ()
    groups_beside: tuple[Variables, ...] = ()
    own: tuple[Variables, ...] = ()
    given: Variables | None = None

    def merged(self) -> Map:
        return merged((*self.groups, *self.groups_beside, *self.own, self.given or {}))

    def with_playbook(self, beside: VarsDirectory, host: str, groups: Iterable[str]) -> Layers:
        """These with what lies beside a playbook; ``groups`` are the host's, weakest first."""
        return Layers(
            (*self.groups, beside.group("all")),
            (*self.groups_beside, *(beside.group(group) for group in groups)),
            (*self.own, beside.host(host)),
            self.given,
        )
