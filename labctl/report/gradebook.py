"""A run as a gradebook: CSV, one student a row. No I/O; remote text is escaped and formulas are defused."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from labctl.report.text import JOINERS, plain, points

# https://owasp.org/www-community/attacks/CSV_Injection; spreadsheets take the full-width signs as well
_FORMULA = tuple("=+-@＝＋－＠")
_STUDENT = ("name", "email", "sid", "user")
_FIRST = (*_STUDENT, "vm", "status", "score", "max_score")
_LAST = ("graded", "attempt", "error")


def render_gradebook(run: Mapping[str, Any]) -> str:
    """A row for every VM, a column for every check. A score that is not known is an empty cell, never 0."""
    ids = list(dict.fromkeys(check["id"] for host in run["hosts"] for check in host["checks"]))
    out = io.StringIO()
    # a spreadsheet may separate cells by semicolons or tabs, which then would split names and begin formulas
    writer = csv.writer(out, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
    writer.writerow([*_FIRST, *map(cell, ids), *_LAST])
    for host in run["hosts"]:
        student = host.get("student") or {}
        scores = {check["id"]: check["score"] for check in host["checks"]}
        writer.writerow(
            [
                *(cell(student.get(name, ""), JOINERS if name == "name" else "") for name in _STUDENT),
                cell(host["host"]),
                cell(host["status"]),
                _points(host["score"]),
                _points(host["max_score"]),
                *(_points(scores.get(one)) for one in ids),
                cell(host.get("started") or ""),
                str(host.get("attempt") or ""),
                cell(host["error"] or ""),
            ]
        )
    return out.getvalue()


def cell(value: object, keep: str = "") -> str:
    """Text for a cell: one line, no control characters but those of ``keep``, and nothing that a spreadsheet
    would calculate.
    """
    text = plain(str(value).replace("\n", " "), limit=1000, multiline=False, keep=keep)
    begins = "".join(one for one in text if one not in keep).lstrip()
    return f"'{text}" if begins.startswith(_FORMULA) else text


def _points(score: float | None) -> str:
    return "" if score is None else points(score)
