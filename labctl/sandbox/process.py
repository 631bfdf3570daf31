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
from collections.abc import Callable, Sequence
from pathlib import Path

from labctl.errors import SandboxError

PROC = Path("/proc")
#: A killed process that the kernel has in hand, writing to a slow disk, ends when that is done.
_END_SECONDS = 60.0
#: The variable by which a container's first process is told of the VM's pid file.
TOLD = "LABCTL_VM"
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


def is_inside(pid: int, pidfile: Path) -> bool:
    """Whether ``pid`` is the first process of the container that was told of ``pidfile``."""
    try:
        environment = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return os.fsencode(f"{TOLD}={pidfile}") in environment and not is_ours(pid, pidfile)


def find(pidfile: Path) -> list[int]:
    """Every running VM that was told of ``pidfile``."""
    return [pid for pid in pids() if is_ours(pid, pidfile)]


def pids() -> list[int]:
    """Every process of this machine."""
    return [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit()]


def end_all(pidfile: Path, *, grace: float = 3.0) -> None:
    """End the VM that was told of ``pidfile``, whatever is left of it.

    Of a container the first process goes first, and the kernel ends all others with it; systemd-nspawn then
    takes the network card away and ends. Ended before it, it would leave the container running for good.
    SandboxError when it still runs after ``_END_SECONDS``: its files are not to be taken from under it.
    """
    until = time.monotonic() + _END_SECONDS
    while time.monotonic() < until:
        inside = [pid for pid in pids() if is_inside(pid, pidfile)]
        outside = find(pidfile)
        if not inside and not outside:
            return
        for pid in inside:
            _signal(pid, lambda pid: is_inside(pid, pidfile), ((signal.SIGKILL, 10.0),))
        for pid in outside:
            end(pid, pidfile, grace=grace)
    raise SandboxError(
        f"a VM could not be ended within {_END_SECONDS:.0f} s: {pidfile}",
        hint="a process of it may wait for a disk; labctl sandbox down once more",
    )


def end(pid: int, pidfile: Path, *, grace: float = 3.0) -> None:
    """End our VM, and no other process: SIGTERM, ``grace`` seconds later SIGKILL. Waits for its end."""
    _signal(pid, lambda pid: is_ours(pid, pidfile), ((signal.SIGTERM, grace), (signal.SIGKILL, 10.0)))


def _signal(pid: int, is_meant: Callable[[int], bool], steps: Sequence[tuple[signal.Signals, float]]) -> None:
    """Send one signal after the other, each with the seconds that it has, until ``pid`` has ended."""
    try:
        handle = os.pidfd_open(pid)
    except OSError:
        return
    try:
        # checked after the handle is held: from here on the pid cannot come to mean another process
        if not is_meant(pid):
            return
        for number, patience in steps:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], patience)[0]:
                return
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
