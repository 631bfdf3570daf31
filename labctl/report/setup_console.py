"""What ``labctl setup`` shows people: a line per task and VM as it is done, and a recap.

Works from the documents of ``setup --json``, so that both show the same facts. Everything that came
from a VM passes through :func:`labctl.report.text.plain`: no control bytes, no markup.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, TextIO

from labctl.report.text import plain

WIDTH = 80
_STYLES = {
    "ok": "green",
    "changed": "yellow",
    "failed": "bold red",
    "skipped": "cyan",
    "unreachable": "bold red",
    "ignored": "magenta",
    "+": "green",
    "-": "red",
    "@": "cyan",
}
# How much of a command's output a failure shows.
_LINES = 25
_LABEL = 11


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Colours only on a terminal, and not when NO_COLOR says no."""
    return not environ.get("NO_COLOR") and environ.get("TERM") != "dumb" and stream.isatty()


class Painter:
    """Gives text a colour, or leaves it as it is."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, style: str) -> str:
        if not self.colour or style not in _STYLES:
            return text
        # Only what paints needs rich; a plain log does not wait for it.
        from rich.style import Style

        return Style.parse(_STYLES[style]).render(text)


def width_of(stream: TextIO) -> int:
    """The terminal's width, 80 when there is none."""
    try:
        return max(40, os.get_terminal_size(stream.fileno()).columns)
    except (OSError, ValueError):
        return WIDTH


def task_lines(
    host: str,
    task: Mapping[str, Any],
    *,
    diff: bool = False,
    verbose: bool = False,
    colour: bool = False,
    width: int = WIDTH,
) -> str:
    """One task of one VM, with its diff when asked for; the whole story when it failed or ``verbose``."""
    paint = Painter(colour)
    status = "ignored" if task.get("ignored") else str(task["status"])
    seconds = f"{float(task['seconds']):6.1f}s"
    room = max(10, width - _LABEL - len(seconds) - len(host) - 3)
    name = _short(plain(str(task["name"]), multiline=False), room)
    line = f"{paint(f'{status:<{_LABEL}}', status)}{plain(host, multiline=False)}: {name}"
    visible = _LABEL + len(host) + 2 + len(name)
    lines = [f"{line}{' ' * max(1, width - visible - len(seconds))}{seconds}"]
    if diff and task.get("diff"):
        lines.extend(_diff(str(task["diff"]), paint))
    if verbose or task["status"] == "failed":
        lines.extend(_story(task))
    return "\n".join(lines)


def _short(text: str, room: int) -> str:
    return text if len(text) <= room else text[: room - 1] + "…"


def _diff(diff: str, paint: Painter) -> list[str]:
    lines = []
    for line in plain(diff).rstrip("\n").split("\n"):
        lines.append("    " + paint(line, line[:1]))
    return lines


def _story(task: Mapping[str, Any]) -> list[str]:
    lines = _field("message", str(task.get("msg", "")))
    lines.extend(_field("module", str(task.get("module", ""))))
    for number, (name, value) in enumerate(dict(task.get("args") or {}).items()):
        lines.extend(_field("" if number else "arguments", f"{name}: {value}"))
    for item in task.get("items") or []:
        if item.get("status") == "failed":
            lines.extend(_field("item", f"{item.get('item')}: {item.get('msg')}"))
    for stream in ("stdout", "stderr"):
        if task.get(stream):
            lines.extend(_field(stream, _tail(str(task[stream]))))
    lines.extend(_field("at", str(task.get("place", ""))))
    return lines


def _tail(text: str) -> str:
    lines = text.rstrip("\n").split("\n")
    if len(lines) <= _LINES:
        return "\n".join(lines)
    return "\n".join([f"... ({len(lines) - _LINES} lines before)", *lines[-_LINES:]])


def _field(name: str, text: str) -> list[str]:
    if not text:
        return []
    first, *rest = plain(text).split("\n")
    return [f"    {name:<9} {first}", *(f"    {'':<9} {line}" for line in rest)]


def lost_lines(host: str, cause: str, message: str, hint: str = "", *, colour: bool = False) -> str:
    """A VM that could not be reached or worked with any further."""
    paint = Painter(colour)
    lines = [f"{paint(cause.ljust(_LABEL), 'unreachable')} {plain(host)}: {plain(message)}"]
    if hint:
        lines.extend(_field("", hint))
    return "\n".join(lines)


def problem_line(host: str, what: str, message: str, *, colour: bool = False) -> str:
    """A VM whose problem another one had before it, on one line."""
    told = plain(f"{host}: {message}", limit=200, multiline=False)
    return f"{Painter(colour)(what.ljust(_LABEL), 'failed')} {told}"


def outcome(summary: Mapping[str, Any]) -> str:
    """What came of a VM, in few words."""
    if summary["status"] == "unreachable":
        return f"unreachable: {summary['error']}"
    if summary["status"] == "failed":
        return "failed"
    return f"{summary['changed']} changed, {summary['ok']} ok"


def play_line(name: str, hosts: int) -> str:
    return f"-- {plain(name, multiline=False)} ({hosts} VM{'' if hosts == 1 else 's'})"


def recap(document: Mapping[str, Any], *, colour: bool = False) -> str:
    """One line per VM: what was counted, how long it took, what it cost."""
    paint = Painter(colour)
    hosts = list(document["hosts"])
    wide = max((len(plain(str(host["host"]))) for host in hosts), default=0)
    lines = []
    if document.get("check"):
        lines.append('check mode: nothing was changed; "changed" is what a real run would do')
    for host in hosts:
        counts = "  ".join(
            paint(f"{word} {host[word]}", word if host[word] else "")
            for word in ("ok", "changed", "failed", "skipped")
        )
        status = str(host["status"])
        cost = f"{float(host['seconds']):.1f} s"
        if host["round_trips"]:  # Ansible counts none
            cost += f", {_times(host['round_trips'], 'round trip')}"
        lines.append(
            f"{plain(str(host['host'])):<{wide}}  {paint(f'{status:<11}', status)}  {counts}  ({cost})"
        )
        if host.get("error"):
            lines.extend(_field("", str(host["error"])))
    if document.get("interrupted"):
        lines.append(
            "interrupted: the tasks above were done, the one under way was ended (apt and dpkg finish by "
            "themselves), the others were not begun; run it again to go on"
        )
    return "\n".join(lines)


def _times(count: Any, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"
