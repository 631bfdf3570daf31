"""Which process is one of our VMs, and how to end it without ever hitting another.

A pid is reused; a pid with its start time is not. A VM's process is also told by its command line,
which names the VM's own pid file: that finds it when the state file was lost or never written.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from pathlib import Path

PROC = Path("/proc")
# seconds that systemd-nspawn has to clear up after its container
_LAST_WORDS = 5.0
_START_TIME = 19  # index after the ")" of the name: field 22 of proc(5)'s stat, in clock ticks since boot


def start_ticks(pid: int) -> int | None:
    """When ``pid`` started, in clock ticks since boot; None if it does not run (or is a zombie)."""
    try:
        stat = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 1 :].split()
    return None if fields[0] in "ZX" else int(fields[_START_TIME])


def arguments(pid: int) -> list[str]:
    """The process's argv; empty if it is gone."""
    try:
        raw = (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return os.fsdecode(raw).rstrip("\0").split("\0")


def is_ours(pid: int, pidfile: Path, ticks: int | None = None) -> bool:
    """Whether ``pid`` is the QEMU or container that was told of ``pidfile`` (and started at ``ticks``)."""
    started = start_ticks(pid)
    if started is None or (ticks is not None and ticks != started):
        return False
    argv = arguments(pid)
    named = any(word == str(pidfile) or word.endswith(f"={pidfile}") for word in argv)
    return named and Path(argv[0]).name.startswith(("qemu", "systemd-nspawn"))


def find(pidfile: Path) -> list[int]:
    """Every running VM that was told of ``pidfile``."""
    pids = (int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit())
    return [pid for pid in pids if is_ours(pid, pidfile)]


def children(pid: int) -> list[int]:
    """The processes that ``pid`` started and that still run."""
    try:
        listed = (PROC / str(pid) / "task" / str(pid) / "children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(word) for word in listed.split()]


def end(pid: int, pidfile: Path, *, grace: float = 3.0) -> None:
    """End our VM, and no other process: SIGTERM, ``grace`` seconds later SIGKILL. Waits for its end.

    A container's first process is killed before the systemd-nspawn that started it: it would live on.
    """
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        # checked after the handle is held: from here on the pid cannot come to mean another process
        if not is_ours(pid, pidfile):
            return
        with contextlib.suppress(ProcessLookupError):
            if grace:
                signal.pidfd_send_signal(handle, signal.SIGTERM)
                if select.select([handle], [], [], grace)[0]:
                    return
            started = children(pid)
            for child in started:
                os.kill(child, signal.SIGKILL)
            if started and select.select([handle], [], [], _LAST_WORDS)[0]:
                return
            signal.pidfd_send_signal(handle, signal.SIGKILL)
        select.select([handle], [], [], 10.0)
    finally:
        os.close(handle)


def wait_gone(pid: int, seconds: float) -> bool:
    """Whether ``pid`` ended within ``seconds``."""
    deadline = time.monotonic() + seconds
    while start_ticks(pid) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
