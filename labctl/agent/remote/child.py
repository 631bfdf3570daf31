"""Ops in forked children: for what may hang in the kernel, and for what runs as another user.

A touch of a stale NFS mount blocks in the kernel where no signal reaches; the agent itself must
never make one. The child does, and is abandoned at its deadline.
"""

from __future__ import annotations

import json
import os
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

from . import command

# A value larger than this is an error, not a result: the controller's memory is finite.
MAX_VALUE = 4 << 20
# What a child is given: an op's index and its deadline. What it sends: the length of a result before it.
_ORDER = struct.Struct("=Id")
_LENGTH = struct.Struct("=I")


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
    """A forked process that is given ops, one at a time. ``fd`` becomes readable with what an op came to."""

    def __init__(self, pid: int, orders: int, fd: int) -> None:
        self.pid = pid
        self.orders = orders
        self.fd = fd
        self.deadline = self.started = 0.0
        self.data = b""

    def give(self, index: int, deadline: float) -> bool:
        """Have it begin the op at ``index``; False when it lives no more."""
        self.started, self.deadline, self.data = time.monotonic(), deadline, b""
        try:
            os.write(self.orders, _ORDER.pack(index, deadline))
        except BrokenPipeError:
            return False
        return True

    def read(self) -> bool:
        """Take what has come; True when the op has come to something, or the process to its end."""
        chunk = os.read(self.fd, 1 << 16)
        self.data += chunk
        return not chunk or self.finished or len(self.data) > MAX_VALUE + 1024

    @property
    def finished(self) -> bool:
        """The op has come to something, and the process is free for another."""
        head = self.data[: _LENGTH.size]
        return len(head) == _LENGTH.size and len(self.data) == _LENGTH.size + _LENGTH.unpack(head)[0]

    def outcome(self) -> dict[str, Any]:
        if not self.finished:
            return {"error": {"kind": "crashed", "message": "the op's process ended without a result"}}
        loaded: dict[str, Any] = json.loads(self.data[_LENGTH.size :].decode("ascii"))
        return loaded

    def cut_off(self) -> dict[str, Any]:
        """The deadline is over: end the child as far as the kernel allows, without waiting for it."""
        self.end(signal.SIGTERM)
        seconds = time.monotonic() - self.started
        return {"error": {"kind": "timeout", "message": "no result after %.1f s" % seconds}}

    def end(self, signum: int) -> None:
        try:
            os.kill(self.pid, signum)
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """It ends when it has nothing to do and nobody to ask."""
        os.close(self.orders)
        os.close(self.fd)
        reap()


def reap() -> None:
    """Collect ended children; one that hangs in the kernel is collected by init later."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def start(work: Callable[[int, float], dict[str, Any]], user: str | None) -> Child:
    """Fork; the child calls ``work`` (as ``user``) with each index and deadline that it is given, and sends
    what it returns.
    """
    orders, ordering = os.pipe()
    fd, out = os.pipe()
    pid = os.fork()
    if pid:
        os.close(orders)
        os.close(out)
        return Child(pid, ordering, fd)
    status = 1
    try:
        _in_child(work, user, orders, out)
        status = 0
    finally:
        # Never return into the agent's loop: this is a copy of it.
        os._exit(status)


def _in_child(work: Callable[[int, float], dict[str, Any]], user: str | None, orders: int, out: int) -> None:
    # The agent's other descriptors close here: the undo's pipe must end with the agent, not with
    # whatever child happens to outlive it.
    low, high = sorted((orders, out))
    os.closerange(3, low)
    os.closerange(low + 1, high)
    os.closerange(high + 1, 4096)
    os.setsid()
    signal.signal(signal.SIGTERM, _terminated)
    signal.signal(signal.SIGALRM, _terminated)
    if user is not None:
        try:
            become(user)
        except KeyError:
            told = {"failed": True, "msg": "there is no user %r on the VM: who is to do this?" % user}
            work = lambda _index, _deadline: {"value": told}  # noqa: E731
    while True:
        order = os.read(orders, _ORDER.size)
        if len(order) < _ORDER.size:
            return
        index, deadline = _ORDER.unpack(order)
        # The last resort when the agent is killed and nobody is left to cut this child off.
        signal.setitimer(signal.ITIMER_REAL, max(deadline - time.monotonic(), 0) + 2)
        data = encode(work(index, deadline))
        signal.setitimer(signal.ITIMER_REAL, 0)
        data = _LENGTH.pack(len(data)) + data
        while data:
            data = data[os.write(out, data) :]


def _terminated(_signum: int, _frame: object) -> None:
    command.kill_running()
    os._exit(1)


def become(user: str) -> None:
    """Turn this process into ``user``: groups, gid, uid and HOME. As after sudo, it stays where it is if it
    may.
    """
    import pwd

    entry = pwd.getpwnam(user)
    if os.getuid() == entry.pw_uid:
        return
    os.initgroups(entry.pw_name, entry.pw_gid)
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    os.environ.update(HOME=entry.pw_dir, USER=entry.pw_name, LOGNAME=entry.pw_name, SHELL=entry.pw_shell)
    _leave_what_is_closed_to_us(entry.pw_dir)
    sys.stderr.flush()


def _leave_what_is_closed_to_us(home: str) -> None:
    """Go home, or to the root, from a directory that the user may not read."""
    if os.access(".", os.R_OK):
        return
    try:
        os.chdir(home)
    except OSError:
        os.chdir("/")
