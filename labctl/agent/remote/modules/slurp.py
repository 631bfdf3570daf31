"""slurp: a file's bytes as base64 text."""

from __future__ import annotations

import base64
import os
from typing import Any

from ..files import naming
from ..outcome import Context, Failed

# What an op's result may have, less what base64 adds.
_MOST = 2 << 20


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:  # noqa: ARG001 (the form of every op)
    source = args["src"]
    if os.path.isdir(source):
        raise Failed("Source is a directory and must be a file: %s" % source)
    if not os.path.exists(source):
        raise Failed("File not found: %s" % source)
    with naming(source), open(source, "rb") as file:
        data = file.read(_MOST + 1)
    if len(data) > _MOST:
        raise Failed("%s has more than %d bytes: too large to be a result" % (source, _MOST))
    content = base64.b64encode(data).decode("ascii")
    return {"changed": False, "content": content, "encoding": "base64", "source": source}
