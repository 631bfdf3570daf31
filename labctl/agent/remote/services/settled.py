"""Wait until this VM is at rest: booted, and no run's undo at work on it."""

from __future__ import annotations

import time
from typing import Any

from ..command import run_command
from ..outcome import Context
from . import presence


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``waits_for`` out: what is still under way at the op's deadline, or ""."""
    while True:
        waits_for = unrest(ctx.remaining())
        if not waits_for or ctx.remaining() < 1.0:
            return {"waits_for": waits_for}
        time.sleep(0.2)


def unrest(seconds: float) -> str:
    if presence.at_work():
        return "the crash experiment of another run"
    if presence.booted_lately():
        told = run_command(["systemctl", "is-system-running"], timeout=max(1.0, seconds)).out.strip()
        if told in ("initializing", "starting"):
            return "its boot"
    return ""
