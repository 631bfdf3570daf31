"""Whether what a unit's main process starts leads to a server: then restarting the unit starts that again.

cron, at and a terminal in the browser are units too, and start whatever they are told to: that it runs below
them says nothing. So each process of the line must be named by the one above it.
"""

from __future__ import annotations

import glob
import os
import re
from typing import NamedTuple

from . import unchanged

#: Bytes of a script or a configuration that are looked at.
ENOUGH = 1 << 16


class Process(NamedTuple):
    """``started`` is in clock ticks since boot."""

    argv: list[str]
    exe: str
    cwd: str
    started: int


def broken_link(line: list[Process]) -> str:
    """What of a line of processes, the oldest first, is not sure to come again with the first; "" when all
    is.
    """
    for number, below in enumerate(line[1:]):
        above, name = line[number], name_of(below)
        if same_program(above, below):
            continue
        named = [(path, text) for path, text in texts(above) if mentions(text, name)]
        if not named:
            return "%s does not name %s" % (name_of(above), name)
        for path, _ in named:
            if path and unchanged.written_after(path, below.started):
                return "%s was changed since %s began" % (path, name)
    return ""


def name_of(one: Process) -> str:
    """What a process is called by those who start it: its script, else its program."""
    script = unchanged.script_of(one.exe, one.argv)
    return os.path.basename(script or (one.argv[0] if one.argv else one.exe)).lstrip("-")


def same_program(above: Process, below: Process) -> bool:
    """One forked the other: their command lines are the same, or were before they wrote something there."""
    if above.argv == below.argv:
        return True
    if unchanged.INTERPRETER.match(os.path.basename(below.exe)):
        return below.argv[1:2] == ["-c"] and "multiprocessing" in below.argv[2]
    return above.exe == below.exe


def texts(one: Process) -> list[tuple[str, str]]:
    """What a process starts its children by: its arguments (path ""), its script, supervisord's programs."""
    found = [("", " ".join(one.argv[1:]))]
    script = unchanged.script_of(one.exe, one.argv)
    if script:
        path = os.path.join(one.cwd, script)
        # the interpreter of the first line is not what the script starts
        found.append((path, re.sub(r"\A#!.*", "", content(path))))
    if name_of(one) == "supervisord":
        for path in [os.path.join(one.cwd, word) for word in one.argv if word.endswith(".conf")]:
            for pattern in re.findall(r"^files\s*=\s*(.+)", content(path), re.M):
                more = [glob.glob(os.path.join(os.path.dirname(path), each)) for each in pattern.split()]
                found += [(each, content(each)) for each in sum(more, [path])]
    return [(path, text) for path, text in found if not re.search(r"^autostart\s*=\s*(?!true)", text, re.M)]


def content(path: str) -> str:
    if not os.path.isfile(path):
        return ""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read(ENOUGH)
    except OSError:
        return ""


def mentions(text: str, name: str) -> bool:
    return bool(name) and re.search(r"(?<![\w.-])%s(?![\w-])" % re.escape(name), text) is not None
