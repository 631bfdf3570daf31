"""Keep what would start crashed workers again from doing so, for as long as they are to be down."""

from __future__ import annotations

from typing import Any

from ..command import run_command
from ..outcome import Context
from . import guard
from .processes import UNIT
from .supervision import hold


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``units`` in (system units, which are stopped) and ``roots`` (true: those that somebody waits for are
    held, or who does); ``stopped`` and ``held`` (pids) out. The armed undo starts them again and lets go.
    """
    stopped = []
    for unit in [str(name) for name in args["units"]]:
        if UNIT.match(unit):
            done = run_command(["systemctl", "stop", "--", unit], timeout=ctx.remaining())
            if done.rc == 0:
                stopped.append(unit)
    held = []
    if args["roots"] and guard.armed:
        armed = guard.armed[-1]
        held = sorted({state["held"][0] for state in armed.states if hold(state, armed.frozen)})
    return {"stopped": stopped, "held": held}
