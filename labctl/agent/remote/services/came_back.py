"""Which workers were started again, by whoever, since the undo was armed."""

from __future__ import annotations

from typing import Any

from ..outcome import Context, Failed
from . import guard
from .supervision import holders_now, taken_over


def run(_args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """``ports`` out: those on which other processes listen than did then."""
    if not guard.armed:
        raise Failed("the undo is not armed")
    holders = holders_now()
    return {"ports": sorted(port for one in guard.armed[-1].states for port in taken_over(one, holders))}
