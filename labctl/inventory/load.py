"""Inventories from files and directories: which reader a file gets, and all of them together."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from labctl.errors import InventoryError, Place
from labctl.inventory.draft import Draft
from labctl.inventory.ini import read_ini
from labctl.inventory.model import Inventory
from labctl.inventory.roster import RosterSettings, read_roster
from labctl.inventory.yaml_file import read_yaml

_YAML = (".yml", ".yaml", ".json")
_LIKE_YAML = re.compile(r"---|\{|[^\s\[:=]+:(\s|$)")
_IGNORED_NAMES = ("group_vars", "host_vars", "vars_plugins")
#: What Ansible passes over in a directory of inventories.
_IGNORED_ENDINGS = (
    *(".pyc", ".pyo", ".swp", ".bak", "~", ".rpm", ".md", ".txt", ".rst"),
    *(".orig", ".cfg", ".retry"),
)


def load_inventory(*paths: Path, roster: RosterSettings | None = None) -> Inventory:
    """Read inventory files and directories of them, in order, as one inventory.

    A file is YAML, INI or a roster (CSV), by its name. A roster's hosts come last, whatever the order,
    and need ``roster``. ``group_vars`` and ``host_vars`` beside each path are read too. Raises
    :class:`InventoryError` with file, line and column.
    """
    draft = Draft(paths)
    rosters = []
    for path in paths:
        for file in _files(path):
            if file.suffix == ".csv":
                rosters.append(file)
            else:
                _read(file, draft)
    for file in rosters:
        if roster is None:
            raise InventoryError(
                "a roster needs to know what its hosts are called",
                hint='in labctl.toml: [roster] host = "{user}.example.org"',
                place=Place(file),
            )
        read_roster(file, _text(file), roster, draft)
    return draft.inventory(path if path.is_dir() else path.parent for path in paths)


def _files(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        yield path
        return
    found = False
    for name in _names(path):
        for file in _files(path / name):
            found = True
            yield file
    if not found:
        raise InventoryError("there is no inventory in this directory", place=Place(path))


def _names(directory: Path) -> list[str]:
    try:
        entries = sorted(entry.name for entry in directory.iterdir())
    except OSError as err:
        raise InventoryError(f"cannot read the directory: {err.strerror}", place=Place(directory)) from err
    return [
        name
        for name in entries
        if not name.startswith(".") and name not in _IGNORED_NAMES and not name.endswith(_IGNORED_ENDINGS)
    ]


def _read(path: Path, draft: Draft) -> None:
    if path.suffix in _YAML:
        read_yaml(path, draft)
        return
    if path.suffix == ".toml":
        raise InventoryError(
            "inventories in TOML are not covered", hint="write YAML or INI", place=Place(path)
        )
    text = _text(path)
    if text.startswith("#!") and os.access(path, os.X_OK):
        raise InventoryError(
            "inventory scripts are not covered",
            hint="save what `ansible-inventory --list -y` prints as a .yml file",
            place=Place(path, 1, 1, text.splitlines()[0]),
        )
    lines = (line.strip() for line in text.splitlines())
    first = next((line for line in lines if line and line[0] not in "#;"), "")
    if not first:
        raise InventoryError("the inventory is empty", place=Place(path))
    if _LIKE_YAML.match(first):
        read_yaml(path, draft)
    else:
        read_ini(path, text, draft)


def _text(path: Path) -> str:
    """The text of a file, without the byte order mark that spreadsheets write."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as err:
        raise InventoryError(f"cannot read the file: {err.strerror}", place=Place(path)) from err
    except UnicodeDecodeError as err:
        raise InventoryError(
            "the file is not UTF-8 text",
            hint='a spreadsheet saves it as "CSV UTF-8"' if path.suffix == ".csv" else "",
            place=Place(path),
        ) from err
