"""The scorecard on a terminal, made from the JSON document of a run. No I/O; remote text is escaped here."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from labctl.report.stats_console import duplicate_lines, names
from labctl.report.text import plain, points

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

WIDTH = 80
#: What is quoted of a VM's words, in characters.
QUOTE = 300

_STYLES = {"pass": "green", "fail": "bold red", "skip": "yellow", "error": "bold magenta"}
_INDENT = 15


def render_scorecard(
    document: Mapping[str, Any],
    *,
    tty: bool = False,
    width: int = WIDTH,
    colour: bool | None = None,
    program: str = "labctl",
) -> str:
    """All hosts of a run. ``colour`` None: on a terminal, unless NO_COLOR is set (https://no-color.org).

    ``program`` is what the reader types for labctl.
    """
    if colour is None:
        colour = _coloured(tty)
    console = _console(width, colour)
    for host in document["hosts"]:
        _host(console, document, host, program)
    if len(document["hosts"]) > 1:
        _overview(console, document)
    if waiting := document.get("not_graded_yet"):
        _line(console, [f"not graded yet: {names(waiting)}"])
    return _text_of(console)


def render_class(document: Mapping[str, Any], *, tty: bool = False) -> str:
    """A line for each host of a run, and where the rest is to be had: a class's scorecards fill a book."""
    console = _console(WIDTH, _coloured(tty))
    _overview(console, document)
    first, run = document["hosts"][0]["host"], document["run"]
    _line(console, [])
    _line(
        console, [f"labctl show {run} {_safe(first)} prints a VM's scorecard, labctl stats {run} the class."]
    )
    return _text_of(console)


def render_changes(
    head: str,
    changes: Iterable[tuple[Mapping[str, Any], str]],
    *,
    tty: bool = False,
    width: int = WIDTH,
) -> str:
    """A line ``head``, and each check of which there is something new to say with its verdict before."""
    console = _console(width, _coloured(tty))
    rows = list(changes)
    layers = {check["id"]: check.get("layer") for check, _ in rows}
    _line(console, [(_safe(head), "bold")])
    for check, was in rows:
        news = f" (was {was.upper()})" if was != check["verdict"] else ""
        _check(console, {**check, "title": f"{check['title']}{news}"}, layers)
    return _text_of(console)


def _host(console: Console, document: Mapping[str, Any], host: Mapping[str, Any], program: str) -> None:
    title = f"{_safe(host['host'])}  {document['lab']} {document.get('title', '')}".rstrip()
    _line(console, [(title, "bold")])
    if not host["checks"] and host["status"] != "graded":
        _line(console, [("  ERROR ", _STYLES["error"]), _safe(host["error"] or "not judged")])
        _hint(console, host.get("error_hint") or "")
        _line(console, [])
        return
    layers = {check["id"]: check.get("layer") for check in host["checks"]}
    # regrade may have come upon sections that the run did not begin with
    known = document["sections"]
    for key in dict.fromkeys([*known, *(check["section"] for check in host["checks"])]):
        heading = known.get(key, _safe(key))
        mine = [check for check in host["checks"] if check["section"] == key]
        if not mine:
            continue
        _line(console, [])
        parts: list[Any] = [(f"{heading}  {_section_points(mine)}", "bold")]
        broken = host.get("first_broken", {}).get(key)
        if broken:
            parts.append(f"  begin with: {broken['layer']} ({broken['check']})")
        _line(console, parts)
        for check, following in zip_longest(mine, mine[1:]):
            _check(console, check, layers, last=not following or _reason(check) != _reason(following))
    _line(console, [])
    _total(console, host)
    _next(console, host, program)
    _line(console, [])


def _section_points(checks: Sequence[Mapping[str, Any]]) -> str:
    """Points and maximum of what could be judged; what could not is no zero, and is not counted as one."""
    judged = [check for check in checks if check["score"] is not None]
    whole = sum(check["max_score"] for check in checks)
    known = sum(check["max_score"] for check in judged)
    if not judged:
        return f"-/{whole:g} (not known)"
    told = f"{sum(check['score'] for check in judged):g}/{known:g}"
    return told if known == whole else f"{told} ({whole - known:g} more not known)"


def _reason(check: Mapping[str, Any]) -> tuple[str, str]:
    return check["verdict"], check["hint"]


def _check(
    console: Console, check: Mapping[str, Any], layers: Mapping[str, str | None], last: bool = True
) -> None:
    """One check. Of skips in a row for one reason only the ``last`` says it."""
    verdict = str(check["verdict"])
    points = "-" if check["score"] is None else f"{check['score']:g}"
    optional = check["max_score"] == 0
    text = "optional " if optional else f"{points:>4}/{check['max_score']:<3g} "
    style = _STYLES.get(verdict, "")
    _wrapped(
        console,
        _safe(check["title"] + (f" [{check['id']}]" if verdict in ("fail", "error") else "")),
        first=[("  ", ""), (f"{verdict.upper():5}", style), (text, "")],
        rest=" " * (_INDENT + 1),
    )
    if optional:  # nothing but information
        _labelled(console, "seen", check["seen"])
    if verdict == "pass" and not check.get("for_staff"):
        return
    if verdict == "fail":
        _labelled(console, "expected", check["expected"])
    if verdict != "skip" and not optional:  # a bare VM skips most checks: one line each is enough to act on
        _labelled(console, "wrote", check.get("answer", ""))
        _labelled(console, "seen", check["seen"])
    if verdict != "skip" or last:
        _labelled(console, "hint", check["hint"])
    if check.get("for_staff"):
        _labelled(console, "note", "for staff to read")
    first = check.get("blocked_by")
    if first and verdict == "fail":  # a skip's hint says it already
        layer = layers.get(first)
        _labelled(console, "first", f"see to {first}" + (f" ({layer})" if layer else ""))


def _labelled(console: Console, label: str, text: str) -> None:
    if text:
        indent = " " * 7
        _wrapped(console, _safe(text), first=[(f"{indent}{label:9}", "dim")], rest=indent + " " * 9)


def _total(console: Console, host: Mapping[str, Any]) -> None:
    if host["status"] == "graded":
        full = host["score"] == host["max_score"]
        style = "bold green" if full else "bold"
        parts: list[Any] = [(f"Total  {points(host['score'])} of {points(host['max_score'])} points", style)]
    else:
        lost = [check for check in host["checks"] if check["verdict"] == "error"]
        known = host["max_score"] - sum(check["max_score"] for check in lost)
        text = f"Not finished: {points(host['score_so_far'])} of {points(known)} points so far; "
        parts = [(text, "bold"), (f"{len(lost)} checks could not be judged", _STYLES["error"])]
    parts.append(f"  ({host['seconds']:.0f} s)")
    _line(console, parts)
    if host["status"] != "graded" and host.get("error"):
        _wrapped(console, _safe(host["error"]), "  ", "  ")
        _hint(console, host.get("error_hint") or "")
    if host["restored"] is True:
        _wrapped(console, "The workers run as they did before the crash experiment.", "", "")
    if host["restored"] is False:
        text = "The workers could NOT be shown to run as they did before: look at this VM."
        _line(console, [(text, _STYLES["error"])])
    to_read = [check["question"] for check in host["checks"] if check.get("for_staff")]
    if to_read:
        _wrapped(console, f"For staff to read: {', '.join(to_read)}", "", "  ")
    if host["left_out"]:
        reasons: dict[str, int] = {}
        for one in host["left_out"]:
            reasons[one["reason"]] = reasons.get(one["reason"], 0) + 1
        told = ", ".join(f"{count} {_safe(reason)}" for reason, count in reasons.items())
        _wrapped(console, f"{len(host['left_out'])} checks left out: {told}", "", "  ")


def _next(console: Console, host: Mapping[str, Any], program: str) -> None:
    open_ones = [check for check in host["checks"] if check["verdict"] in ("fail", "error")]
    if not open_ones:
        if host["checks"] and host["status"] == "graded" and host["score"] == host["max_score"]:
            _wrapped(console, "Everything that was checked is right.", "", "")
        return
    first = next((one for one in open_ones if one["verdict"] == "fail"), open_ones[0])
    where = "" if host["host"] == "localhost" else f" {host['host']}"
    mend = f"mend {first['id']}, then " if first["verdict"] == "fail" else ""
    _wrapped(console, _safe(f"Next: {mend}look again:"), "", "      ")
    _line(console, ["      ", _safe(f"{program} grade{where} --only {first['id']}")])


def _overview(console: Console, document: Mapping[str, Any]) -> None:
    rows = document["hosts"]
    wide = max(len(_safe(host["host"])) for host in rows)
    for host in rows:
        parts: list[Any] = [f"{_safe(host['host']):{wide}}  "]
        if host["status"] == "graded":
            parts.append(f"{points(host['score'])} of {points(host['max_score'])}")
        else:
            parts += [("ERROR ", _STYLES["error"]), _safe(host["error"] or "not judged")[:120]]
        if host["restored"] is False:
            parts.append(("  workers NOT as before", _STYLES["error"]))
        _line(console, parts)
    for line in duplicate_lines(document.get("duplicates", ())):
        _line(console, [line])


def _hint(console: Console, hint: str) -> None:
    if hint:
        _wrapped(console, _safe(hint), "  ", "  ")


def _safe(text: object) -> str:
    """Remote text on one line: its line ends become blanks, its controls are shown as escapes."""
    return plain(" ".join(str(text).split("\n")), limit=QUOTE, multiline=False).strip()


def _coloured(tty: bool) -> bool:
    return tty and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def _console(width: int, colour: bool) -> Console:
    from rich.console import Console

    return Console(
        file=io.StringIO(),
        width=max(40, width),
        force_terminal=colour,
        no_color=not colour,
        color_system="standard" if colour else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def _text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"


def _line(console: Console, parts: Iterable[str | tuple[str, str]]) -> None:
    from rich.text import Text

    console.print(Text.assemble(*parts), soft_wrap=True)


def _wrapped(console: Console, text: str, first: str | list[tuple[str, str]], rest: str) -> None:
    """``text`` within the width, its first line after ``first`` and the others after ``rest``."""
    from rich.text import Text

    head = Text.assemble(*first) if isinstance(first, list) else Text(first)
    room = max(20, console.width - max(head.cell_len, len(rest)))
    lines: list[Text] = list(Text(text).wrap(console, room)) or [Text("")]
    for number, line in enumerate(lines):
        console.print(Text.assemble(head if number == 0 else Text(rest), line), soft_wrap=True)
