"""A class list as hosts: a CSV file that somebody keeps in a spreadsheet, one student a row."""

from __future__ import annotations

import csv
import io
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.documents import nearest
from labctl.errors import InventoryError, Place
from labctl.inventory.draft import Draft

COLUMNS = ("name", "email", "sid", "user")
#: What tells two students apart wherever grades go; a student without one may be one of several.
_UNIQUE = ("email", "sid")
#: Groups that playbooks and labctl itself name, whether the inventory has them or not.
_GROUPS = frozenset({"all", "ungrouped", "students", "staff"})
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_DATA_ONLY = ("{{", "{%", "{#")
#: What spreadsheets and web pages leave in cells: blanks that are none, marks that nobody sees.
_INVISIBLE = {
    **dict.fromkeys(map(ord, "\u00a0\u2007\u202f"), " "),
    **dict.fromkeys(map(ord, "\u00ad\u200b\u200e\u200f\u2060\ufeff"), ""),
}
#: Part of how names are written in Persian and in other languages.
_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"), "")


@dataclass(frozen=True)
class RosterSettings:
    """How a roster becomes hosts: the ``host`` pattern (``{user}.example.org``; a column's name in braces),
    the group its hosts join, and variables that the group gets unless the inventory has them.

    Raises :class:`InventoryError` for a pattern that names no column.
    """

    host: str
    group: str = "students"
    variables: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None

    def __post_init__(self) -> None:
        hint = "write {user}.example.org; in braces: " + ", ".join(COLUMNS)
        try:
            parts = list(string.Formatter().parse(self.host))
        except ValueError as err:
            raise InventoryError(f"roster.host: {err}", hint=hint, place=self.place) from err
        named = [name for _, name, *_ in parts if name is not None]
        if not named or any(name not in COLUMNS for name in named) or any(p[2] or p[3] for p in parts):
            raise InventoryError(
                f"roster.host {self.host!r} does not name the columns that make a host's name",
                hint=hint,
                place=self.place,
            )


def read_roster(path: Path, text: str, settings: RosterSettings, draft: Draft) -> None:
    """Add a roster's hosts to ``draft``, which keeps the variables that it already has.

    Raises :class:`InventoryError` with the line for a row that is wrong or stands twice.
    """
    start = settings.place or Place(path)
    draft.add_group(settings.group, start)
    for name, value in settings.variables.items():
        draft.set_group(settings.group, name, value, (start, start), weak=True)
    seen: dict[str, int] = {}
    for row in _rows(path, text):
        user, host = row.cell("user"), settings.host.format_map(row.cells)
        if not _HOST.fullmatch(host) or not user:
            what = f"makes the host {host!r}, which is no host's name" if user else "has no user"
            raise InventoryError(
                f"this row {what}", hint="letters, digits, - and . only", place=row.at("user")
            )
        if host in _GROUPS or draft.has_group(host):
            # who asks for the group, a play or a person, would get this one student's VM
            raise InventoryError(
                f"this row makes the host {host!r}, which is the name of a group",
                hint='call the hosts something else: [roster] host = "{user}.example.org" in labctl.toml',
                place=row.at("user"),
            )
        for kind, value in (("user", user), ("host", host), *((one, row.cell(one)) for one in _UNIQUE)):
            first = seen.setdefault(f"{kind} {value.lower()}", row.line) if value else row.line
            if first != row.line:
                raise InventoryError(
                    f"the {kind} {value} stands twice (first in line {first})",
                    hint="one row for each student",
                    place=row.at(kind if kind in COLUMNS else "user"),
                )
        draft.add_host(settings.group, host, None, row.at("user"))
        for column in COLUMNS:
            place = row.at(column)
            draft.set_host(host, f"student_{column}", row.cell(column), (place, place), weak=True)


@dataclass(frozen=True)
class _Row:
    """``line`` is the first of the row's lines: a quoted cell may hold several."""

    path: Path
    line: int
    text: str
    cells: Mapping[str, str]
    starts: Mapping[str, int]

    def cell(self, column: str) -> str:
        return self.cells[column]

    def at(self, column: str) -> Place:
        return Place(self.path, self.line, self.starts[column] + 1, self.text)


def _rows(path: Path, text: str) -> Iterator[_Row]:
    lines = text.splitlines()
    # Spreadsheets write the separator of their user's language.
    first = next((line for line in lines if line.strip()), "")
    separator = max(",;\t", key=first.count)
    cell = re.compile(rf'(?:"(?:[^"]|"")*"|[^{separator}])*(?:{separator}|$)')
    records = _records(path, text, lines, separator)
    header_line, header = next(records, (0, []))
    if not header:
        raise InventoryError("the roster is empty", hint=f"columns: {', '.join(COLUMNS)}", place=Place(path))
    columns = _columns(header, Place(path, header_line, 1, lines[header_line - 1]))
    for number, cells in records:
        line = lines[number - 1]
        if len(cells) > len(header):
            raise InventoryError(
                f"{len(cells)} cells in a row under {len(header)} columns",
                hint='put quotes around a cell that holds a comma: "Doe, Kim"',
                place=Place(path, number, 1, line),
            )
        filled = [*(cell.translate(_INVISIBLE) for cell in cells), *[""] * (len(header) - len(cells))]
        starts = [match.start() for match in cell.finditer(line)]
        row = _Row(
            path,
            number,
            line,
            {column: filled[index] for column, index in columns.items()},
            {column: starts[index] if index < len(starts) else 0 for column, index in columns.items()},
        )
        for column, value in row.cells.items():
            shown = value.translate(_JOINERS) if column == "name" else value
            if any(mark in value for mark in _DATA_ONLY) or not shown.isprintable():
                raise InventoryError(
                    f"the {column} cannot be {value!r}",
                    hint="a cell of a roster is plain text on one line, without templates",
                    place=row.at(column),
                )
        yield row


def _records(path: Path, text: str, lines: Sequence[str], separator: str) -> Iterator[tuple[int, list[str]]]:
    """Each row that holds anything, with the number of its first line; cells without outer spaces."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = [cell.strip() for cell in next(reader)]
        except StopIteration:
            return
        except csv.Error as err:
            excerpt = lines[number - 1] if number <= len(lines) else ""
            raise InventoryError(
                f"not valid CSV: {err}",
                hint='a quote inside a quoted cell is written twice: "Kim ""K"" Doe"',
                place=Place(path, number, 1, excerpt),
            ) from err
        if any(cells):
            yield number, cells


def _columns(header: Sequence[str], place: Place) -> dict[str, int]:
    names = [name.lower() for name in header]
    for column in COLUMNS:
        if names.count(column) == 1:
            continue
        near = nearest(column, names)
        what = "stands twice" if column in names else "is missing"
        raise InventoryError(
            f"the column {column} {what}",
            hint=f"did you mean {near!r} to be it?"
            if near and near != column
            else f"the first line: {', '.join(COLUMNS)}",
            place=place,
        )
    return {column: names.index(column) for column in COLUMNS}
