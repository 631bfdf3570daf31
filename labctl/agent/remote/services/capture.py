"""How the workers run now."""

from __future__ import annotations

from typing import Any

from ..outcome import Context
from . import processes


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``ports`` in; ``groups`` (one for each root process) and ``refused`` (why it cannot be told) out."""
    try:
        states = processes.capture([int(port) for port in args["ports"]], ctx.remaining())
    except processes.Uncapturable as err:
        return {"groups": [], "refused": str(err)}
    return {"groups": [processes.public(state) for state in states], "refused": ""}
