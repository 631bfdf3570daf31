"""How a run goes, on a terminal: a line for each VM that ended, and one that says how far it is. No I/O."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from labctl.report.text import plain

if TYPE_CHECKING:
    from rich.text import Text

#: What is shown of the names of the VMs that are worked on now, in characters.
_NAMES = 60


def ended_line(done: int, total: int, document: Mapping[str, Any], seconds: float) -> str:
    """A VM ended: how far the run is, and what came of it."""
    tries = len(document.get("tries", ()))
    again = f" (try {tries + 1})" if tries else ""
    return done_line(done, total, seconds, str(document["host"]), f"{outcome(document)}{again}")


def done_line(done: int, total: int, seconds: float, host: str, told: str) -> str:
    """The line of a VM that ended, for whatever was done on it."""
    return plain(f"[{done}/{total}] {seconds:5.1f} s  {host}: {told}", limit=300, multiline=False)


def outcome(document: Mapping[str, Any]) -> str:
    """A VM's points, or why it has none."""
    if document["status"] == "graded":
        return f"{document['score']:g} of {document['max_score']:g}"
    return str(document["error"] or "not judged")


def is_problem(document: Mapping[str, Any]) -> bool:
    """Whether a VM is worth a line while others are still under way."""
    return document["status"] != "graded" or document["restored"] is False


def status_line(
    *, done: int, total: int, running: list[str], failed: int, left: float | None, width: int, colour: bool
) -> Text:
    """One line that is written over and over: done, running, failed, and how long it may still take."""
    from rich.text import Text

    line = Text(no_wrap=True, overflow="ellipsis")
    line.append(f"{done}/{total} done", "bold" if colour else "")
    line.append(f", {len(running)} running")
    if failed:
        line.append(f", {failed} failed", "bold red" if colour else "")
    if left is not None and done < total:
        line.append(f", about {duration(left)} left")
    names = ", ".join(plain(name, limit=40, multiline=False) for name in running[:5])
    if names:
        line.append(f"  {names[:_NAMES]}{'…' if len(running) > 5 or len(names) > _NAMES else ''}")
    line.truncate(max(20, width - 1), overflow="ellipsis")
    return line


def duration(seconds: float) -> str:
    """``45 s``, ``3 min``, ``1 h 20 min``."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def looking_line(host: str) -> str:
    """The only VM of a run begins: it may take a minute until something can be told of it."""
    return plain(f"[0/1]   0.0 s  {host}: looking", limit=300, multiline=False)


def lost_line(host: str, why: str) -> str:
    """A VM's result could not be kept."""
    return plain(f"{host}: its result could not be kept: {why}", limit=300, multiline=False)
