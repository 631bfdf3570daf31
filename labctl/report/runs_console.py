"""Kept runs on a terminal: the list, what was seen, what judging again changed. No I/O."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labctl.report.text import plain

#: What is shown of one observation's value, in characters.
_VALUE = 4000


def render_runs(document: Mapping[str, Any]) -> str:
    """The list of ``labctl runs``."""
    rows = document["runs"]
    if not rows:
        return "no runs are kept yet: labctl grade VM keeps what it finds\n"
    lines = []
    for row in rows:
        state = "" if row["finished"] else ", interrupted"
        if row["waiting"]:
            state += f", {row['waiting']} not graded yet"
        again = row["attempts"] + row["waiting"] - row["hosts"]
        rule = f", the {row['keep']} counts" if row["keep"] != "last" else ""
        more = f", {again} further attempts{rule}" if again > 0 else ""
        graded = f"{row['graded']} of {row['hosts']} VMs graded"
        lines.append(f"{row['run']}  {row['lab']}  {row['started']}  {graded}{more}{state}")
    hints = ["labctl show RUN shows one; its beginning is enough, or: last"]
    if any(row["waiting"] and not row["finished"] for row in rows):
        hints.append("labctl grade --resume --run RUN grades those that are not graded yet")
    return "\n".join([*lines, "", *hints, ""])


def render_evidence(document: Mapping[str, Any]) -> str:
    """What was asked, from where, and what came back."""
    lines = []
    for key, row in document["observations"].items():
        probe, vantage, args = json.loads(row["key"])
        asked = ", ".join(f"{name}={json.dumps(value)}" for name, value in args.items())
        lines.append(plain(f"{key}  {probe}({asked}), from {_WHERE.get(vantage, vantage)}", limit=600))
        if "error" in row:
            told = f"not observed: {row['error']['cause']}: {row['error']['message']}"
        else:
            told = json.dumps(row["value"], indent=2, ensure_ascii=False)
        lines.extend(f"    {line}" for line in plain(told, limit=_VALUE, multiline=True).splitlines())
        again = f"; look {row['looks']}, {row['waited']:.1f} s after the first" if "looks" in row else ""
        lines.append(f"    ({row['seconds']:.2f} s{again})")
    return "\n".join([*lines, ""]) if lines else "the check used no observation\n"


_WHERE = {
    "vm": "the VM itself",
    "outside": "outside, through its firewall",
    "staff": "the staff's server",
    "experiment": "an experiment",
    "answers": "what the student wrote",
}


def render_changes(document: Mapping[str, Any]) -> str:
    """Who gains or loses which points, and why."""
    lines = []
    hosts = document["hosts"]
    for host in (one for one in hosts if one["checks"]):
        points = f"{_points(host['before'])} -> {_points(host['after'])} of {host['max_score']:g}"
        lines.append(f"{plain(host['host'])}: {points}")
        for row in host["checks"]:
            lines.append(f"  {row['id']}: {_told(row['before'])} -> {_told(row['after'])}")
            if row["why"]:
                lines.append(f"    {plain(row['why'], limit=300)}")
    # a VM that was looked at several times has a row for each
    judged = {one["host"] for one in hosts}
    same = judged - {one["host"] for one in hosts if one["checks"]}
    lines.append(f"{len(judged)} VMs judged again, {len(same)} with nothing changed")
    lacking: dict[str, list[str]] = {}
    for host in hosts:
        for check in host["not_recorded"]:
            lacking.setdefault(check, []).append(host["host"])
    for check, names in lacking.items():
        where = ", ".join(plain(name) for name in names[:5]) + (" and others" if len(names) > 5 else "")
        lines.append(f"{check}: what it needs was not recorded in that run ({where})")
    for name in document["without_evidence"]:
        lines.append(f"{plain(name)}: nothing was seen of it then, so there is nothing to judge")
    for row in document["unreadable"]:
        lines.append(f"not judged again: {plain(row['why'], limit=600)}")
    if document["kept"]:
        lines.append("kept as a new attempt: labctl show " + document["run"])
    elif hosts:
        lines.append("nothing was kept: leave out --diff to keep it")
    else:
        lines.append("there was nothing to judge, and nothing was kept")
    return "\n".join([*lines, ""])


def _points(score: float | None) -> str:
    return "not known" if score is None else f"{score:g}"


def _told(row: Mapping[str, Any] | None) -> str:
    return "-" if row is None else f"{row['verdict']} {_points(row['score'])}/{row['max_score']:g}"
