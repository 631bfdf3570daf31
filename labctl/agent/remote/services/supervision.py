"""Who may start a server again by itself: a loop in a shell script, a program of the student's own.

While all workers are to be down such a supervisor must start nothing. It is not touched for that: the root
that it waits for is stopped (SIGSTOP), so that it does not end when its workers do. Let go of (SIGCONT) it
ends as it would have, and the supervisor does what it always does.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

from ..probes.sockets import listeners
from .processes import (
    GROUP,
    SESSION,
    STATE,
    TERMINAL,
    alive,
    children_of,
    parent_of,
    raw,
    started_at,
    stat_of,
)

#: How long a supervisor has the first turn: until it does something, and until the ports listen when it does.
TURN, WHOLE_TURN = 1.5, 8.0
#: How long a root that was held may take to notice that its workers have ended.
NOTICE = 5.0
STOPPED, ZOMBIE = ord("T"), ord("Z")


def note(state: dict[str, Any]) -> None:
    """Add to what was captured of a root: its ``supervisor`` (pid and start, [] for none), the supervisor's
    children (``siblings``), and whether the root is ``holdable``.
    """
    pid = state["pid"]
    parent = supervisor_of(pid)
    state["supervisor"] = [parent, started_at(parent)] if parent else []
    state["siblings"] = [[child, started_at(child)] for child in children_of(parent)] if parent else []
    state["holdable"] = bool(parent) and holdable(pid, parent, state["ports"])


def supervisor_of(pid: int) -> int:
    """The parent, when it may start ``pid`` again: a program with arguments (``sh run.sh``), or a shell's
    loop, which is of the same process group. 0 for none.

    A shell at its prompt gives each job a group of its own. Above what a terminal was made for is only the
    terminal.
    """
    parent, mine = parent_of(pid), stat_of(pid)
    if parent <= 1 or (mine[SESSION] == pid and mine[TERMINAL]):
        return 0
    program = len(raw(parent, "cmdline").split("\0")) > 2
    return parent if program or mine[GROUP] == stat_of(parent)[GROUP] else 0


def holdable(pid: int, parent: int, ports: list[int]) -> bool:
    """Stopped for a while the root would be missed by nobody: its children serve the ports, not itself, and
    its parent does not hear of it.

    A shell with job control does, takes it for a job that its user has put aside, and ends its loop.
    """
    serves = any(row["pid"] == pid and row["port"] in ports for row in listeners())
    unheard = stat_of(pid)[GROUP] == stat_of(parent)[GROUP] or stat_of(parent)[TERMINAL] == 0
    return unheard and not serves and stat_of(pid)[STATE] != STOPPED


def hold(state: dict[str, Any]) -> bool:
    """Stop a root, if nobody would miss it."""
    if not (state["holdable"] and alive(state["pid"], state["started"])):
        return False
    os.kill(state["pid"], signal.SIGSTOP)
    return True


def let_go(state: dict[str, Any]) -> None:
    """A root that may be held goes on; when all its workers are gone it ends too, which is waited for.

    It was running when it was captured. Whether it has stopped yet is not asked: that takes it a moment, and
    the signal that lets it go on also takes back one that it has not come to.
    """
    pid, started = state["pid"], state["started"]
    if not (state["holdable"] and alive(pid, started)):
        return
    os.kill(pid, signal.SIGCONT)
    until = time.monotonic() + NOTICE
    while not ended(pid, started) and not served(state["ports"]) and time.monotonic() < until:
        time.sleep(0.05)


def served(ports: list[int]) -> bool:
    return any(row["port"] in ports for row in listeners() if row["proto"] == "tcp")


def ended(pid: int, started: int) -> bool:
    """It runs no more; its parent may not have looked at it yet."""
    return not alive(pid, started) or stat_of(pid)[STATE] == ZOMBIE


def comes_back(state: dict[str, Any]) -> bool:
    """Whoever supervises this root has started it again, and its ports listen."""
    began = time.monotonic()
    while True:
        holders = {row["port"]: row["pid"] for row in listeners() if row["proto"] == "tcp"}
        found = [holders[port] for port in state["ports"] if port in holders]
        # those that were just killed may be listed for a moment yet
        others = any(pid and [pid, started_at(pid)] not in state["family"] for pid in found)
        if others and len(found) == len(state["ports"]):
            return True
        turn = WHOLE_TURN if others or at_work(state) else TURN if state["supervisor"] else 0.0
        if time.monotonic() > began + turn:
            return False
        time.sleep(0.2)


def at_work(state: dict[str, Any]) -> bool:
    """The supervisor has another child than before: the server, or what it does until it starts that."""
    if not (state["supervisor"] and alive(*state["supervisor"])):
        return False
    return any([pid, started_at(pid)] not in state["siblings"] for pid in children_of(state["supervisor"][0]))
