"""Wait until HAProxy says that so many servers of a proxy are up, or down."""

from __future__ import annotations

import csv
import time
from typing import Any

from ..outcome import Context
from .haproxy import ask_socket
from .http import get

HEADER = "# pxname,svname,"


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``proxy``, ``up`` and ``down`` (how many at least), ``port``, ``path``, ``config`` in; ``reached``,
    ``state`` out.

    The statistics page is asked first, the admin socket that ``config`` names when there is no page.
    """
    began = time.monotonic()
    while True:
        state = read_state(args, min(3.0, max(0.2, ctx.remaining())))
        up, down = count(state, str(args["proxy"]))
        reached = up >= int(args["up"]) and down >= int(args["down"])
        if reached or ctx.remaining() < 1.5:
            return {"reached": reached, "state": state, "seconds": round(time.monotonic() - began, 3)}
        time.sleep(0.25)


def read_state(args: dict[str, Any], wait: float) -> str:
    page = get("127.0.0.1", int(args["port"]), str(args["path"]), wait, 65536)
    if page["status"] == 200 and str(page["body"]).startswith(HEADER):
        return str(page["body"])
    return ask_socket(str(args["config"]), "show stat\n", wait)


def count(state: str, proxy: str) -> tuple[int, int]:
    """How many servers of ``proxy`` are up and down ("DOWN 1/2" is on its way up, and still down)."""
    up = down = 0
    for row in csv.reader(state.splitlines()):
        if len(row) > 17 and row[0] == proxy and row[1] not in ("FRONTEND", "BACKEND"):
            up += row[17].startswith("UP")
            down += row[17].startswith("DOWN")
    return up, down
