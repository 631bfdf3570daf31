"""Who may start a server again by itself: a shell's loop, in a script or at a prompt, a program.

While workers are to be down such a supervisor must start nothing. Where that can be, it is not touched: the
root that it waits for is held, so that it does not end when its workers do. A root that serves a port itself
ends with it; then the supervisor is held, unless it may be a shell that its user types into. Let go of, they
go on as they would have.

Held is frozen (see cgroups), of which nobody hears; where there is no freezer it is stopped (SIGSTOP), where
nobody would hear of that.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from typing import Any

from ..probes.sockets import listeners
from . import cgroups
from .processes import (
    GROUP,
    SESSION,
    SHELLS,
    STATE,
    TERMINAL,
    alive,
    ancestors,
    children_of,
    name_of,
    parent_of,
    started_at,
    stat_of,
)

#: How long a supervisor has the first turn: until it does something, and until the ports listen when it does.
TURN, WHOLE_TURN = 1.5, 20.0
#: How long a root that was held may take to notice that its workers have ended.
NOTICE = 5.0
STOPPED, ZOMBIE = ord("T"), ord("Z")


def note(state: dict[str, Any]) -> None:
    """Add to what was captured of a root: its ``supervisor`` (pid and start, [] for none), the supervisor's
    children (``siblings``), who is to be ``held`` (pid, start and cgroup, [] for nobody), and whether nobody
    would hear that it was stopped (``unheard``).
    """
    pid = state["pid"]
    parent = supervisor_of(pid)
    held = whom(pid, parent, state["ports"]) if parent and state["kind"] in ("hand", "tmux") else 0
    state["supervisor"] = [parent, started_at(parent)] if parent else []
    state["siblings"] = [[child, started_at(child)] for child in children_of(parent)] if parent else []
    state["held"] = [held, started_at(held), cgroups.path_of(held)] if held else []
    state["unheard"] = bool(held) and unheard(held)


def supervisor_of(pid: int) -> int:
    """The parent, which may start ``pid`` again; 0 for none. Above what a terminal was made for is only the
    terminal.
    """
    parent, mine = parent_of(pid), stat_of(pid)
    return 0 if parent <= 1 or (mine[SESSION] == pid and mine[TERMINAL]) else parent


def whom(pid: int, parent: int, ports: list[int]) -> int:
    """Whom to hold so that ``parent`` does not start a root again: the root, if it does not serve the ports
    itself, else the parent, if it is a shell's loop or a program. 0 for nobody.

    A shell at its prompt gives each job a process group of its own, and leads its terminal's session.
    """
    held = pid
    if any(row["pid"] == pid and row["port"] in ports for row in listeners()):
        above = stat_of(parent)
        prompt = above[SESSION] == parent and above[TERMINAL]
        if prompt or above[GROUP] != stat_of(pid)[GROUP] or parent in ancestors(os.getpid()):
            return 0
        held = parent
    return 0 if stat_of(held)[STATE] == STOPPED else held


def unheard(pid: int) -> bool:
    """Its parent does not hear that it was stopped. A shell with job control does, takes it for a job that
    its user has put aside, and ends its loop.
    """
    above = stat_of(parent_of(pid))
    return above[TERMINAL] == 0 or above[GROUP] == stat_of(pid)[GROUP]


def hold(state: dict[str, Any], frozen: str) -> bool:
    """Hold whom a root's note names: in the cgroup ``frozen``, where there is one."""
    if not (state["held"] and alive(*state["held"][:2])):
        return False
    pid = state["held"][0]
    if frozen and cgroups.move(pid, frozen):
        return True
    if state["unheard"]:
        os.kill(pid, signal.SIGSTOP)
    return bool(state["unheard"])


def let_go(states: list[dict[str, Any]], frozen: str) -> None:
    """Whoever may be held goes on; a root whose workers are gone ends too, which is waited for.

    They were running when they were captured. Whether one has stopped yet is not asked: that takes it a
    moment, and the signal that lets it go on also takes back one that it has not come to.
    """
    held = [state for state in states if state["held"] and alive(*state["held"][:2])]
    listening = set(holders_now())
    for state in held:
        pid, _, cgroup = state["held"]
        if (
            pid == state["pid"]
            and not set(state["ports"]) <= listening
            and name_of(parent_of(pid)) not in SHELLS
        ):
            # a program that supervises may take an end with status 0 for one that was meant
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if frozen and cgroups.path_of(pid) == frozen:
            cgroups.move(pid, cgroup)
        elif state["unheard"]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
    if frozen:
        cgroups.dissolve(frozen)
    until = time.monotonic() + NOTICE
    for state in held:
        while not (ended(state["pid"], state["started"]) or served(state["ports"])):
            if time.monotonic() > until:
                break
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
        holders = holders_now()
        # those that were just killed may be listed for a moment yet
        others = taken_over(state, holders)
        if others and set(state["ports"]) <= set(holders):
            return True
        turn = WHOLE_TURN if others or at_work(state) else TURN if state["supervisor"] else 0.0
        if time.monotonic() > began + turn:
            return False
        time.sleep(0.2)


def holders_now() -> dict[int, int]:
    """The pid that listens on each TCP port."""
    return {row["port"]: row["pid"] for row in listeners() if row["proto"] == "tcp"}


def taken_over(state: dict[str, Any], holders: dict[int, int]) -> list[int]:
    """The ports of a root on which a process listens that is none of those captured."""
    found = [(port, holders.get(port, 0)) for port in state["ports"]]
    return [port for port, pid in found if pid and [pid, started_at(pid)] not in state["family"]]


def at_work(state: dict[str, Any]) -> bool:
    """The supervisor has another child than before: the server, or what it does until it starts that."""
    if not (state["supervisor"] and alive(*state["supervisor"])):
        return False
    return any([pid, started_at(pid)] not in state["siblings"] for pid in children_of(state["supervisor"][0]))
