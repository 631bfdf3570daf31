"""Which of several processes of one program is the server that counts."""

from __future__ import annotations

import os

from .sockets import listeners, unit_of


def argv_in_use(program: str, units: tuple[str, ...], port: int = 0) -> list[str]:
    """How the process of ``program`` that counts was started, [] when none runs: one of its own unit, as that
    is what a reboot starts; else the one that listens on ``port``; else the oldest.

    Somebody who tries things may have another one open in a terminal, with a file of its own. Units are told
    by the kernel: systemctl is a program of the VM.
    """
    running = {}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        argv = argv_of(pid)
        if argv and os.path.basename(argv[0]) == program:
            running[pid] = argv
    found = [pid for pid in running if unit_of(pid) in units]
    if not found and port and len(running) > 1:
        found = [row["pid"] for row in listeners() if row["port"] == port and row["pid"] in running]
    return running[min(found or running)] if running else []


def argv_of(pid: int) -> list[str]:
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as handle:
            return handle.read().decode("utf-8", "replace").split("\0")[:-1]
    except OSError:
        return []
