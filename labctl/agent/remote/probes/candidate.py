"""What ``haproxy -c`` says of a configuration that is not in use."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ..outcome import Context
from .asking import ask


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``text`` in; ``installed``, ``valid``, ``message`` out. The text is in a file of its own while it is
    checked; HAProxy's own files are not touched, and nothing is started.
    """
    handle, path = tempfile.mkstemp(prefix="labctl-", suffix=".cfg")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(str(args["text"]))
        said = ask(["haproxy", "-c", "-f", path], ctx)
    finally:
        os.unlink(path)
    message = (said.out + said.err).replace(path, "the answer").strip()
    return {"installed": not said.missing, "valid": said.rc == 0, "message": message[:2000]}
