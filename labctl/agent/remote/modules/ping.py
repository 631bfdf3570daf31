"""ping: the agent answers."""

from __future__ import annotations

from typing import Any

from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:  # noqa: ARG001 (the form of every op)
    if args.get("data") == "crash":
        raise Failed("asked to fail")
    return {"changed": False, "ping": args.get("data", "pong")}
