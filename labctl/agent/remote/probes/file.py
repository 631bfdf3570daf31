"""One file, up to a number of bytes."""

from __future__ import annotations

import errno
from typing import Any

from ..outcome import Context


def run(args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """``path``, ``cap`` in; ``exists``, ``text`` (UTF-8, replaced where it is not), ``truncated``, ``error``
    out.
    """
    cap = int(args["cap"])
    try:
        with open(str(args["path"]), "rb") as handle:
            raw = handle.read(cap + 1)
    except OSError as err:
        name = errno.errorcode.get(err.errno or 0, "EIO")
        return {"exists": name not in ("ENOENT", "ENOTDIR"), "text": "", "truncated": False, "error": name}
    text = raw[:cap].decode("utf-8", "replace")
    return {"exists": True, "text": text, "truncated": len(raw) > cap, "error": ""}
