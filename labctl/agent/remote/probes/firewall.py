"""What ufw says about itself."""

from __future__ import annotations

from typing import Any

from ..outcome import Context
from .asking import ask


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``installed``, ``active`` and the rule lines as ``ufw status`` prints them."""
    done = ask(["ufw", "status"], ctx)
    if done.missing:
        return {"installed": False, "active": False, "rules": []}
    lines = [line.rstrip() for line in done.out.splitlines()]
    active = any(line.lower().startswith("status: active") for line in lines)
    rules = [
        line for line in lines if " ALLOW" in line or " DENY" in line or " REJECT" in line or " LIMIT" in line
    ]
    return {"installed": True, "active": active, "rules": rules[:200]}
