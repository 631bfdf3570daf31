"""Renew the lease of the armed undo."""

from __future__ import annotations

from typing import Any

from ..outcome import Context, Failed
from . import guard


def run(_args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """Fails when the undo is not armed (any more): then nothing may be broken."""
    if not guard.armed or not guard.armed[-1].renew():
        raise Failed("the undo is not armed any more")
    return {"renewed": True}
