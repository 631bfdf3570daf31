"""Control groups of version 2: which one a process is in, moving it, and one whose members do not run.

Paths are as in /proc/PID/cgroup. Where version 1 is in use the hierarchy of version 2 is mounted beside it.
"""

from __future__ import annotations

import os

from .. import mount_table

#: A group of ours is called so, and after the ports whose servers may be held in it.
FROZEN = "/labctl-held-"


def folder_of(path: str) -> str:
    """The directory of a group. Raises FileNotFoundError where there is no hierarchy of version 2."""
    for mount in mount_table.rows():
        if mount.fstype == "cgroup2":
            return mount.target + path
    raise FileNotFoundError("no cgroup2 is mounted")


def path_of(pid: int) -> str:
    """The group of a process, or "" where there is none."""
    try:
        with open("/proc/%d/cgroup" % pid, errors="surrogateescape") as handle:
            return next((line[3:].rstrip("\n") for line in handle if line.startswith("0::")), "")
    except OSError:
        return ""


def members(path: str) -> set[int]:
    try:
        with open(folder_of(path) + "/cgroup.procs") as handle:
            return {int(line) for line in handle.read().split()}
    except (OSError, ValueError):
        return set()


def move(pid: int, path: str) -> bool:
    """Move a process (0: this one) into a group, if that still exists."""
    try:
        with open(folder_of(path) + "/cgroup.procs", "r+") as handle:
            handle.write(str(pid))
        return True
    except OSError:
        return False


def make_frozen(ports: list[int]) -> str:
    """Make a group whose members do not run; its path, or "" where that cannot be had (Linux before 5.2).
    Whoever is in such a group still, since a watcher was killed, is let go of first.

    Nobody hears of a process that is frozen: its parent is not told, as of one that was stopped, and its
    state in /proc is that of one that sleeps. Only SIGKILL reaches it before it is let go of.
    """
    path = FROZEN + "-".join(str(port) for port in sorted(ports))
    dissolve(path)
    try:
        os.mkdir(folder_of(path))
    except OSError:
        return ""
    if freeze(path, True):
        return path
    os.rmdir(folder_of(path))
    return ""


def freeze(path: str, frozen: bool) -> bool:
    try:
        with open(folder_of(path) + "/cgroup.freeze", "r+") as handle:
            handle.write("1" if frozen else "0")
        return True
    except OSError:
        return False


def dissolve(path: str) -> None:
    """Let go of who is in the group, and remove it: nobody can be moved into it any more."""
    if not freeze(path, False):
        return
    for pid in members(path):
        move(pid, "/")
    try:
        os.rmdir(folder_of(path))
    except OSError:
        pass  # who is still in it runs
