"""Write down how the workers run and arm the undo, before anything is broken."""

from __future__ import annotations

import socket
from typing import Any

from ..outcome import Context
from . import cgroups, guard, panes, processes, supervision


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``ports``, ``lease``, ``limit`` (seconds) in. Must run in the agent itself, not isolated: it holds the
    pipe.
    """
    if guard.armed:
        return refused("an experiment is under way in this agent")
    ports = [int(port) for port in args["ports"]]
    try:
        name = guard.claim(ports)
    except guard.Taken:
        return refused("another run's experiment is under way on this VM")
    with name:
        frozen = cgroups.make_frozen(ports)
        kept: list[dict[str, Any]] = []
        told: dict[str, Any] | None = None
        try:
            told = arm(ports, args, ctx, name, frozen, kept)
        finally:
            # refused, or not even that: nothing of it stays
            if told is None or told["refused"]:
                for state in kept:
                    panes.let_go(state)
                if frozen:
                    cgroups.dissolve(frozen)
        return told


def arm(
    ports: list[int],
    args: dict[str, Any],
    ctx: Context,
    name: socket.socket,
    frozen: str,
    kept: list[dict[str, Any]],
) -> dict[str, Any]:
    """``kept`` is added to: the roots whose panes wait for them from now on."""
    try:
        states = processes.capture(ports, ctx.remaining())
    except processes.Uncapturable as err:
        return refused(str(err))
    missing = set(ports) - {port for state in states for port in state["ports"]}
    if missing:
        return refused("nothing listens on %s" % sorted(missing))
    for state in states:
        supervision.note(state)
        if state["pane"]:
            kept.append(state)
            said = panes.keep(state)
            if said:
                return refused("the workers' tmux pane cannot be kept: %s" % said)
    watcher = guard.arm(states, frozen, float(args["lease"]), float(args["limit"]), name).watcher
    if not watcher:
        guard.armed.pop()
        return refused("the undo could not be armed")
    return {"groups": [processes.public(state) for state in states], "refused": "", "watcher": watcher}


def refused(why: str) -> dict[str, Any]:
    return {"groups": [], "refused": why, "watcher": 0}
