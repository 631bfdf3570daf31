"""One op in a forked child: for what may hang in the kernel, and for what runs as another user.

A touch of a stale NFS mount blocks in the kernel where no signal reaches; the agent itself must
never make one. The child does, and is abandoned at its deadline.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from . import command

# A value larger than this is an error, not a result: the controller's memory is finite.
MAX_VALUE = 4 << 20


def encode(value: Any) -> bytes:
    """JSON bytes of an op's outcome, or of an error when it is too large or not JSON."""
    try:
        data = json.dumps(value, ensure_ascii=True, allow_nan=False).encode("ascii")
    except (TypeError, ValueError) as err:
        return encode({"error": {"kind": "crashed", "message": "the result is not JSON: %s" % err}})
    if len(data) > MAX_VALUE:
        message = "the result has %d bytes; %d is the most" % (len(data), MAX_VALUE)
        return encode({"error": {"kind": "crashed", "message": message}})
    return data


class Child:
    """A running child. ``fd`` becomes readable with the outcome's JSON, then ends."""

    def __init__(self, pid: int, fd: int, deadline: float) -> None:
        self.pid = pid
        self.fd = fd
        self.deadline = deadline
        self.started = time.monotonic()
        self.data = b""

    def read(self) -> bool:
        """Take what has come; True when the child has said everything."""
        chunk = os.read(self.fd, 1 << 16)
        self.data += chunk
        return not chunk or len(self.data) > MAX_VALUE + 1024

    def outcome(self) -> dict[str, Any]:
        self.close()
        try:
            loaded: dict[str, Any] = json.loads(self.data.decode("ascii"))
            return loaded
        except ValueError:
            return {"error": {"kind": "crashed", "message": "the op's process ended without a result"}}

    def cut_off(self) -> dict[str, Any]:
        """The deadline is over: end the child as far as the kernel allows, without waiting for it."""
        self.end(signal.SIGTERM)
        self.close()
        seconds = time.monotonic() - self.started
        return {"error": {"kind": "timeout", "message": "no result after %.1f s" % seconds}}

    def end(self, signum: int) -> None:
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        reap()


def reap() -> None:
    """Collect ended children; one that hangs in the kernel is collected by init later."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def start(work: Callable[[], dict[str, Any]], deadline: float, user: str | None) -> Child:
    """Fork; the child runs ``work`` (as ``user``) and sends what it returns."""
    readable, writable = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writable)
        return Child(pid, readable, deadline)
    status = 1
    try:
        _in_child(work, deadline, user, writable)
        status = 0
    finally:
        # Never return into the agent's loop: this is a copy of it.
        os._exit(status)


def _in_child(work: Callable[[], dict[str, Any]], deadline: float, user: str | None, out: int) -> None:
    # The agent's other descriptors close here: the undo's pipe must end with the agent, not with
    # whatever child happens to outlive it.
    if out != 3:
        os.dup2(out, 3)
    os.closerange(4, 4096)
    os.setsid()
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGALRM, _terminated)
    # The last resort when the agent is killed and nobody is left to cut this child off.
    signal.setitimer(signal.ITIMER_REAL, max(deadline - time.monotonic(), 0) + 2)
    if user is not None:
        become(user)
    data = encode(work())
    while data:
        data = data[os.write(3, data) :]


def _terminated(_signum: int, _frame: object) -> None:
    command.kill_running()
    os._exit(1)


def become(user: str) -> None:
    """Turn this process into ``user``: groups, gid, uid, HOME and working directory."""
    import pwd

    entry = pwd.getpwnam(user)
    if os.getuid() == entry.pw_uid:
        return
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name, SHELL=entry.pw_shell)
    try:
        os.chdir(entry.pw_dir)
    except OSError:
        os.chdir("/")
    sys.stderr.flush()
