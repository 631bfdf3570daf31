"""Write down how the workers run and arm the undo, before anything is broken."""

from __future__ import annotations

from typing import Any

from ..outcome import Context
from . import guard, panes, processes


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``ports``, ``lease``, ``limit`` (seconds) in. Must run in the agent itself, not isolated: it holds the
    pipe.
    """
    if guard.armed:
        return {"groups": [], "refused": "an experiment is under way in this agent", "watcher": 0}
    ports = [int(port) for port in args["ports"]]
    try:
        states = processes.capture(ports, ctx.remaining())
    except processes.Uncapturable as err:
        return {"groups": [], "refused": str(err), "watcher": 0}
    missing = set(ports) - {port for state in states for port in state["ports"]}
    if missing:
        return {"groups": [], "refused": "nothing listens on %s" % sorted(missing), "watcher": 0}
    for state in states:
        said = panes.keep(state) if state["pane"] else ""
        if said:
            return {"groups": [], "refused": "the workers' tmux pane cannot be kept: %s" % said, "watcher": 0}
    watcher = guard.arm(states, float(args["lease"]), float(args["limit"])).watcher
    if not watcher:
        guard.armed.pop()
        return {"groups": [], "refused": "the undo could not be armed", "watcher": 0}
    return {"groups": [processes.public(state) for state in states], "refused": "", "watcher": watcher}
