"""Who holds a lease: a process of a user on a machine, and whether it can be known to have ended."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from labctl.whoami import name_or_number


def this_process() -> dict[str, Any]:
    """``user``, ``machine``, ``pid``, and what tells this process from a later one of the same number."""
    where, began = _beginning(os.getpid())
    return {
        "user": name_or_number(),
        "machine": socket.gethostname(),
        "where": where,
        "pid": os.getpid(),
        "began": began,
    }


@lru_cache(maxsize=1)
def _beginning(pid: int) -> tuple[str, str | None]:
    return _where(), _began(pid)


def has_ended(holder: Mapping[str, Any]) -> bool:
    """Whether a process, as :func:`this_process` described it, has ended for certain."""
    return is_running(holder) is False


def is_running(holder: Mapping[str, Any]) -> bool | None:
    """Whether a process, as :func:`this_process` described it, runs; None where nobody can tell.

    That can be known on the machine where it ran, since its last boot. A process that /proc does not show us
    (mounted with hidepid) runs when the kernel says that it is there.
    """
    where = _where()
    if not where or holder.get("where") != where or holder.get("machine") != socket.gethostname():
        return None
    pid = int(holder["pid"])
    began = _began(pid)
    return _is_there(pid) if began is None else bool(began == holder["began"])


def described(holder: Mapping[str, Any]) -> str:
    """``user@machine, process 123``, for messages."""
    return f"{holder.get('user')}@{holder.get('machine')}, process {holder.get('pid')}"


def _where() -> str:
    """This boot and this namespace of process numbers; "" where they cannot be told."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - it is no path
    except OSError:
        return ""


def _began(pid: int) -> str | None:
    """When a process began, in clock ticks since the boot; "" when it has ended and is a zombie, None when
    /proc does not tell."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    # proc(5): the 22nd field; the second, in parentheses, may hold blanks
    fields = stat.rpartition(")")[2].split()
    return "" if fields[0] == "Z" else fields[19]


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # of another user
    return True
