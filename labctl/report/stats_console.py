"""A class's statistics, and the comparison of two runs, as tables of text. No I/O; remote text is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from labctl.report.text import plain

#: The longest bar of a distribution, in characters.
_BAR = 40
#: How many names of VMs a row shows.
_NAMES = 6


def render_stats(document: Mapping[str, Any]) -> str:
    """``labctl stats``' document as text."""
    stats = document["statistics"]
    rule = "" if document["keep"] == "last" else f", of several attempts the {document['keep']}"
    lines = [f"{document['run']}  {document['lab']}: {graded(document)}{rule}"]
    scores = stats["scores"]
    if scores:
        lines += [
            f"mean {scores['mean']:g}, median {scores['median']:g}, "
            f"from {scores['lowest']:g} to {scores['highest']:g} of {scores['max_score']:g} points",
            "",
            *_distribution(stats["distribution"]),
        ]
    lines += ["", *_checks(stats["checks"])] if stats["checks"] else []
    if stats["layers"]:
        lines += ["", "Where services are broken first"]
        lines += [
            f"  {row['vms']:>4}  {_safe(row['section'])}: {_safe(row['layer'])}" for row in stats["layers"]
        ]
    if stats["first_broken"]:
        lines += ["", "What to mend first"]
        for row in stats["first_broken"]:
            layer = f" ({_safe(row['layer'])})" if row["layer"] else ""
            lines.append(f"  {row['vms']:>4}  {row['check']}{layer}: {names(row['hosts'])}")
    if stats["causes"]:
        lines += ["", "VMs by cause"]
        lines += [f"  {row['vms']:>4}  {cause(row)}: {names(row['hosts'])}" for row in stats["causes"]]
    return "\n".join([*lines, *duplicate_lines(document.get("duplicates", ())), ""])


def graded(document: Mapping[str, Any]) -> str:
    """How many VMs of a run have a grade; those whose turn has not come yet are no part of its statistics."""
    stats, waiting = document["statistics"], len(document.get("not_graded_yet", ()))
    more = f", {waiting} not graded yet" if waiting else ""
    return f"{stats['graded']} of {stats['vms'] + waiting} VMs graded{more}"


def pass_rate(check: Mapping[str, Any]) -> str:
    """Of the VMs that were judged, how many per cent pass: 100% is all of them, and 0% none; "" for no VM."""
    passed, judged = check["pass"], check["pass"] + check["fail"] + check["skip"]
    if not judged:
        return ""
    if passed in (0, judged):
        return f"{100 * passed // judged}%"
    return f"{min(99, max(1, round(100 * passed / judged)))}%"


def duplicate_lines(duplicates: Iterable[Mapping[str, Any]]) -> list[str]:
    """VMs that are not as different as they should be."""
    rows = list(duplicates)
    lines = ["", "The same machine under several names, or copies of one"] if rows else []
    for row in rows:
        names = ", ".join(_safe(name) for name in row["hosts"])
        lines.append(f"  the same {_WHAT.get(row['what'], row['what'])}: {names}")
    return lines


_WHAT = {"host_key": "SSH host key", "machine_id": "machine-id"}


def render_comparison(document: Mapping[str, Any]) -> str:
    """``labctl compare``'s document as text: only what differs."""
    lines = [f"{document['before']} -> {document['after']}"]
    same = 0
    for row in document["hosts"]:
        name = _safe(row["host"])
        if row["only_in"]:
            lines.append(f"{name}: only in {document[row['only_in']]}")
        elif _is_same(row):
            same += 1
        else:
            lines.append(f"{name}: {_points(row, 'before')} -> {_points(row, 'after')}{_gain(row)}")
            lines += [
                f"  {check['id']}: {_verdict(check['before'])} -> {_verdict(check['after'])}"
                for check in row["checks"]
            ]
    lines.append(f"{same} VM{'' if same == 1 else 's'} with nothing changed")
    return "\n".join([*lines, ""])


def _is_same(row: Mapping[str, Any]) -> bool:
    points, why = (row["before"], row["after"]), (row["error_before"], row["error_after"])
    return points[0] == points[1] and not row["checks"] and (points[0] is not None or why[0] == why[1])


def _distribution(bars: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = list(bars)
    most = max((row["vms"] for row in rows), default=0) or 1
    lines = []
    for number, row in enumerate(rows):
        end = "]" if number == len(rows) - 1 else ")"
        span = f"[{row['from']:g}, {row['to']:g}{end}"
        lines.append(f"  {span:>14} {row['vms']:>4}  {'█' * round(_BAR * row['vms'] / most)}".rstrip())
    return lines


def _checks(checks: Iterable[Mapping[str, Any]]) -> list[str]:
    rows = list(checks)
    wide = max(len(row["id"]) for row in rows)
    lines = [f"{'check':{wide}}  pass  fail  skip error  rate"]
    for row in rows:
        rate = pass_rate(row) or "-"
        counts = "  ".join(f"{row[verdict]:>4}" for verdict in ("pass", "fail", "skip", "error"))
        lines.append(f"{row['id']:{wide}}  {counts}  {rate:>4}")
    return lines


def cause(row: Mapping[str, Any]) -> str:
    """What is between the VMs of a row and full marks, in words."""
    told = {"nothing": "nothing is missing", "failed": ""}.get(row["cause"], _safe(row["cause"]))
    return ": ".join(part for part in (told, ", ".join(row["checks"])) if part)


def names(hosts: Iterable[str], most: int = _NAMES) -> str:
    """Names of VMs; of many the first, and how many more there are."""
    every = [_safe(name) for name in hosts]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _points(row: Mapping[str, Any], side: str) -> str:
    if row[side] is None:
        return f"no grade ({_safe(row[f'error_{side}'] or 'not judged')})"
    return f"{row[side]:g}"


def _gain(row: Mapping[str, Any]) -> str:
    if row["before"] is None or row["after"] is None:
        return ""
    return f" ({row['after'] - row['before']:+g} of {row['max_score']:g})"


def _verdict(side: Mapping[str, Any] | None) -> str:
    if side is None:
        return "not there"
    points = "" if side["score"] is None else f" {side['score']:g}/{side['max_score']:g}"
    return f"{side['verdict']}{points}"


def _safe(text: object) -> str:
    return plain(str(text), limit=120, multiline=False)
