"""Write a fresh file through a mount and read it back; it is removed again, also when nobody asks for that.

``action`` "write" leaves a process behind that removes the file after ``keep`` seconds, so that a grader that
dies leaves nothing on the student's share; ``action`` "remove" removes it now.
"""

from __future__ import annotations

import errno
import os
import re
import time
from typing import Any

from ..outcome import Context

NAME = re.compile(r"\.labctl-[0-9a-f]{8,64}\Z")


def run(args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """``directory``, ``name``, ``action`` in; ``done`` and ``error`` (an errno name) out."""
    name = str(args["name"])
    if not NAME.match(name):
        raise ValueError("the name of the trial file must be .labctl- and hexadecimal digits")
    path = os.path.join(str(args["directory"]), name)
    try:
        if args["action"] == "remove":
            os.unlink(path)
            return {"done": True, "error": ""}
        same = write(path, name.encode(), float(args.get("keep", 45.0)))
    except OSError as err:
        code = errno.errorcode.get(err.errno or 0, "EIO")
        return {"done": args["action"] == "remove" and code == "ENOENT", "error": code}
    return {"done": same, "error": "" if same else "READ-BACK-DIFFERS"}


def write(path: str, content: bytes, keep: float) -> bool:
    """True when what was written is read back the same. The remover is started before the file exists."""
    remove_later(path, keep)
    handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
    try:
        os.write(handle, content)
        os.fsync(handle)
        os.lseek(handle, 0, os.SEEK_SET)
        return os.read(handle, 4096) == content
    finally:
        os.close(handle)


def remove_later(path: str, keep: float) -> None:
    """A process of its own session, detached from every pipe of the agent."""
    pid = os.fork()
    if pid:
        os.waitpid(pid, 0)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    os.closerange(0, 1024)
    until = time.monotonic() + keep
    while time.monotonic() < until:
        time.sleep(0.5)
    try:
        os.unlink(path)
    except OSError:
        pass
    os._exit(0)
