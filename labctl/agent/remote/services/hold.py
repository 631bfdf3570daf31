"""Stop the units that run the workers, for the time in which all are to be down."""

from __future__ import annotations

from typing import Any

from ..command import run_command
from ..outcome import Context
from .processes import UNIT


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``units`` in (system units); ``stopped`` out. The armed undo starts them again."""
    stopped = []
    for unit in [str(name) for name in args["units"]]:
        if UNIT.match(unit):
            done = run_command(["systemctl", "stop", "--", unit], timeout=ctx.remaining())
            if done.rc == 0:
                stopped.append(unit)
    return {"stopped": stopped}
