"""fetch: a file's bytes, a part at a time. What the controller has already is not sent."""

from __future__ import annotations

import base64
import hashlib
import os
import stat
from typing import Any

from ..outcome import Context, Failed
from ..paths import expanded

# As base64 it fits into one result.
PART = 2 << 20


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:  # noqa: ARG001 (the form of every op)
    """``offset`` asks for a later part; ``have`` is the controller's own sha1, if it has the file."""
    path = expanded(args["src"])
    offset = int(args.get("offset") or 0)
    try:
        # Without O_NONBLOCK a pipe would be waited at for ever.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except FileNotFoundError as err:
        raise Failed("the remote file does not exist", changed=False) from err
    except OSError as err:
        raise Failed("the remote file cannot be read: %s" % err.strerror, changed=False) from err
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        if stat.S_ISDIR(mode):
            raise Failed("remote file is a directory, fetch cannot work on directories", changed=False)
        raise Failed("remote file is a device or a pipe, fetch cannot work on it", changed=False)
    with os.fdopen(fd, "rb") as file:
        checksum = _sha1(file) if offset == 0 else None
        if checksum is not None and checksum == args.get("have"):
            return {"path": path, "checksum": checksum, "content": "", "more": False}
        file.seek(offset)
        data = file.read(PART)
        more = bool(file.read(1))
    content = base64.b64encode(data).decode("ascii")
    return {"path": path, "checksum": checksum, "content": content, "more": more}


def _sha1(file: Any) -> str:
    found = hashlib.sha1()  # noqa: S324  Ansible's checksum, not a secret
    while True:
        data = file.read(1 << 20)
        if not data:
            return found.hexdigest()
        found.update(data)
