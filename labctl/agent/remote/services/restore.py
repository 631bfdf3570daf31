"""Have the armed undo restore the workers now."""

from __future__ import annotations

from typing import Any

from ..outcome import Context, Failed
from . import guard


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``back``, ``restarted``, ``problems``, ``why`` out, as the watcher tells it."""
    if not guard.armed:
        raise Failed("the undo is not armed")
    one = guard.armed.pop()
    try:
        return one.restore(max(1.0, ctx.remaining() - 1.0))
    finally:
        one.link.close()
