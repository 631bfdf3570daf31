"""Whether somebody has worked on the VM: read in a few milliseconds, so that it can be asked every second.

Nothing is opened that may hang: no program is run, and no mounted file system is walked into.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

from .. import mount_table
from ..outcome import Context
from .sockets import TABLES, read_table

#: Where systemd-journald and rsyslog write: a reload or a restart shows here when it shows nowhere else.
LOGS = ("/var/log/journal", "/run/log/journal", "/var/log/syslog", "/var/log/daemon.log")
MOST_FILES = 20000


def run(args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """``args``: ``paths``, files and directories; a directory stands for all that is in it.

    Out: ``files``, ``sockets``, ``mounts`` and ``logs``, each a digest that changes when those do, and
    ``cpu``, the seconds of processor time that this agent and what it started have used so far.
    """
    table = mount_table.lines()
    points = {row.target for row in mount_table.parse(table)}
    spent = os.times()
    return {
        "files": digest(entry for path in args["paths"] for entry in tree(str(path), points)),
        "sockets": digest(listening()),
        # A login mounts and unmounts its own directory there
        "mounts": digest(line for line in table if not line.split(" ")[4].startswith("/run/")),
        "logs": digest(entry for path in LOGS for entry in tree(path, points)),
        "cpu": round(spent.user + spent.system + spent.children_user + spent.children_system, 4),
    }


def digest(parts: Any) -> str:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return whole.hexdigest()[:16]


def listening() -> list[str]:
    """The inode too: a program that was started again listens on a new socket."""
    floor = first_ephemeral_port()
    return [
        "%s %s %d %d" % (table, address, port, inode)
        for table, family in TABLES
        for address, port, inode in read_table("/proc/net/" + table, family)
        # A program that asks something over UDP holds such a port until the answer comes
        if table.startswith("tcp") or port < floor
    ]


def first_ephemeral_port() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as limits:
            return int(limits.read().split()[0])
    except (OSError, ValueError, IndexError):
        return 32768


def tree(top: str, points: set[str]) -> list[str]:
    """A line for ``top`` and for everything in it: name, inode, time of the last change (mode and owner
    included), size. What is mounted somewhere inside is left out.
    """
    try:
        lines = [line_of(top, os.stat(top))]
    except OSError:
        return [top + " is not there"]
    waiting = [top]
    while waiting and len(lines) < MOST_FILES:
        folder = waiting.pop()
        try:
            with os.scandir(folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        for entry in found:
            if entry.path in points:
                continue
            try:
                lines.append(line_of(entry.path, entry.stat(follow_symlinks=False)))
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
            except OSError:
                lines.append(entry.path)
    return lines


def line_of(path: str, found: os.stat_result) -> str:
    return "%s %d %d %d" % (path, found.st_ino, found.st_ctime_ns, found.st_size)
