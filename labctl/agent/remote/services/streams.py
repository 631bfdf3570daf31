"""A process's standard streams: where they go, and the same again for one that is started in its place."""

from __future__ import annotations

import os
import stat
from typing import Any

DELETED = " (deleted)"


def stdio_of(pid: int, number: int) -> dict[str, Any]:
    """Where a standard stream goes: kind "file", "tty", "null", "closed" or "other", with the path and flags
    to open it again, and the ``file`` (device and inode) that is to be found there; for a pipe /proc's name
    for it.

    What nobody can get at any more (a terminal that was closed, a file that was removed) is "null": it comes
    to the same for who writes.
    """
    place = "/proc/%d/fd/%d" % (pid, number)
    try:
        path, info = os.readlink(place), os.stat(place)
        with open("/proc/%d/fdinfo/%d" % (pid, number)) as handle:
            flags = next(int(line.split()[1], 8) for line in handle if line.startswith("flags:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return {"kind": "closed", "path": "", "flags": 0, "file": [], "pipe": ""}
    flags &= os.O_ACCMODE | os.O_APPEND
    kind = "other"
    if path == os.devnull or (path.startswith("/") and path.endswith(DELETED) and not os.path.exists(path)):
        kind, path = "null", os.devnull
    elif path.startswith(("/dev/pts/", "/dev/tty")):
        kind = "tty"
    elif path.startswith("/") and os.path.isfile(path):
        kind = "file"
    return {
        "kind": kind,
        "path": "" if kind == "other" else path,
        "flags": flags,
        "file": [info.st_dev, info.st_ino],
        "pipe": path if kind == "other" and stat.S_ISFIFO(info.st_mode) else "",
    }


def ends(pipe: str, reading: bool) -> list[int]:
    """The processes that read from a pipe, or that write into it; it is named as /proc names it."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            for number in os.listdir("/proc/%s/fd" % pid):
                if os.readlink("/proc/%s/fd/%s" % (pid, number)) == pipe and _is_end(pid, number, reading):
                    found.append(int(pid))
        except OSError:
            continue  # it has ended
    return sorted(set(found))


def _is_end(pid: str, number: str, reading: bool) -> bool:
    with open("/proc/%s/fdinfo/%s" % (pid, number)) as handle:
        flags = next((line.split()[1] for line in handle if line.startswith("flags:")), "0")
    return int(flags, 8) & os.O_ACCMODE != (os.O_WRONLY if reading else os.O_RDONLY)


def borrowed_lock(pid: int, family: list[int]) -> str:
    """A file that ``pid`` holds a lock on which none of its ``family`` took, as below flock(1); "" for none.

    It would be free as soon as they end, and whoever waits for it would start.
    """
    try:
        for number in os.listdir("/proc/%d/fd" % pid):
            with open("/proc/%d/fdinfo/%s" % (pid, number)) as handle:
                locks = [line.split() for line in handle if line.startswith("lock:")]
            if any(words[2] == "FLOCK" and int(words[5]) not in family for words in locks):
                return os.readlink("/proc/%d/fd/%s" % (pid, number))
    except OSError:
        pass  # it has ended, which is seen elsewhere
    return ""


def reopen(stream: dict[str, Any]) -> int:
    """The stream's own file or terminal again where that exists, else /dev/null. Nothing is truncated or
    created.

    We are root, and what is at the path now may be somebody else's making: only the very file that was open
    before is taken, and no pipe is waited for.
    """
    if stream["kind"] in ("file", "tty"):
        flags = stream["flags"] | os.O_NOCTTY | os.O_NOFOLLOW | os.O_NONBLOCK
        if stream["kind"] == "file" and flags & os.O_ACCMODE != os.O_RDONLY:
            flags |= os.O_APPEND
        try:
            number = os.open(stream["path"], flags)
            info = os.fstat(number)
            if [info.st_dev, info.st_ino] == stream["file"]:
                os.set_blocking(number, True)
                return number
            os.close(number)
        except OSError:
            pass
    return os.open(os.devnull, os.O_RDWR)
