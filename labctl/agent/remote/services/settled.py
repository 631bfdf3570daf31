"""Wait until no run's undo is at work on this VM any more."""

from __future__ import annotations

import time
from typing import Any

from ..outcome import Context
from . import presence


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``settled`` out: False when one still was at the op's deadline."""
    while presence.at_work():
        if ctx.remaining() < 1.0:
            return {"settled": False}
        time.sleep(0.2)
    return {"settled": True}
