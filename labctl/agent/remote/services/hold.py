"""Keep what would start crashed workers again from doing so, for the time in which all are to be down."""

from __future__ import annotations

from typing import Any

from ..command import run_command
from ..outcome import Context
from . import guard
from .processes import UNIT
from .supervision import hold


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``units`` in (system units, which are stopped) and ``roots`` (true: those that somebody waits for are
    held); ``stopped`` and ``held`` (pids) out. The armed undo starts and lets go of them again.
    """
    stopped = []
    for unit in [str(name) for name in args["units"]]:
        if UNIT.match(unit):
            done = run_command(["systemctl", "stop", "--", unit], timeout=ctx.remaining())
            if done.rc == 0:
                stopped.append(unit)
    held = []
    if args["roots"] and guard.armed:
        held = [state["pid"] for state in guard.armed[-1].states if hold(state)]
    return {"stopped": stopped, "held": held}
