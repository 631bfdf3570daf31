"""What a directory holds: names only."""

from __future__ import annotations

import errno
import os
from typing import Any

from ..outcome import Context


def run(args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """``path`` in; ``exists``, ``entries`` (sorted, at most 500), ``error`` (an errno name) out."""
    try:
        entries = sorted(os.listdir(str(args["path"])))
    except OSError as err:
        name = errno.errorcode.get(err.errno or 0, "EIO")
        return {"exists": name not in ("ENOENT", "ENOTDIR"), "entries": [], "error": name}
    shown = [entry.encode("utf-8", "replace").decode("utf-8") for entry in entries[:500]]
    return {"exists": True, "entries": shown, "error": ""}
