"""The dead man's switch: a process on the VM that restores the workers when the grader cannot.

``arm`` forks a watcher that belongs to nobody (own session, own cgroup, no descriptor of the agent but one
end of a socket pair) and holds what was captured in its own memory. It restores when it is told to, when the
agent's end of the pair closes (the agent was killed, the connection was cut, labctl died), when the lease is
not renewed in time (the connection hangs), or at the hard limit. Only the watcher ever restores, so that
never two do.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import time
from typing import Any

from . import cgroups, presence, revive, supervision

RENEW, RESTORE = b"+", b"R"
#: What the watcher says when it begins to restore; before an account in JSON it means nothing.
BEGUN = b" "
#: Seconds that the watcher may take to answer: it does nothing else, but the VM may be busy.
ANSWER = 4.0


class Taken(Exception):
    """Another run's watcher is at work on these ports."""


def claim(ports: list[int]) -> socket.socket:
    """The name that says that a watcher is at work on ``ports``, held until its last copy is closed.

    Raises Taken.
    """
    name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        name.bind("\0" + presence.NAME + "-".join(str(port) for port in sorted(ports)))
    except OSError:
        name.close()
        raise Taken
    return name


class Guard:
    """The agent's end of an armed switch."""

    def __init__(self, link: socket.socket, watcher: int, states: list[dict[str, Any]], frozen: str) -> None:
        self.link = link
        self.watcher = watcher
        self.states = states
        self.frozen = frozen
        self.over = False

    def renew(self) -> bool:
        """False when the watcher is gone or has begun to restore: nothing may be broken any more.

        It says so itself: what it only would have read later came too late.
        """
        # once it restores, all that it says is its account
        self.over = self.over or not (self.send(RENEW) and self.receive(ANSWER, 1) == RENEW)
        return not self.over

    def receive(self, wait: float, size: int) -> bytes:
        """What it says next; b"" when that does not come in ``wait`` seconds, or it is gone."""
        try:
            return self.link.recv(size) if select.select([self.link], [], [], max(0.0, wait))[0] else b""
        except OSError:
            return b""

    def send(self, word: bytes) -> bool:
        try:
            self.link.sendall(word)
            return True
        except OSError:
            return False

    def restore(self, wait: float) -> dict[str, Any]:
        """Have it restored now; what the watcher did. The answer is there too when it acted by itself
        before.
        """
        self.send(RESTORE)
        until, data = time.monotonic() + wait, b""
        while True:
            piece = self.receive(until - time.monotonic(), 65536)
            if not piece:
                break
            data += piece
        try:
            # an answer that nobody waited for any more may stand before it
            told: dict[str, Any] = json.loads(data.lstrip(RENEW + BEGUN).decode("ascii"))
            return told
        except ValueError:
            return {
                "back": False,
                "restarted": [],
                "problems": ["the watcher gave no account"],
                "why": "unknown",
            }


#: The one switch that is armed in this agent. An agent serves one controller and one experiment at a time.
armed: list[Guard] = []


def arm(states: list[dict[str, Any]], frozen: str, lease: float, limit: float, name: socket.socket) -> Guard:
    """Start the watcher. ``lease`` and ``limit`` are seconds: between two renewals, and in all. ``name`` is
    what ``claim`` gave, ``frozen`` the cgroup for who is held, or "": the watcher's from now on. It
    removes the group, so that who comes too late to be held is not held.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        try:
            ours.close()
            os.setsid()
            if os.fork() == 0:
                watch(theirs, name, states, frozen, lease, limit)
        finally:
            os._exit(0)
    name.close()
    theirs.close()
    os.waitpid(pid, 0)
    ours.settimeout(5.0)
    said = ours.recv(16)
    ours.settimeout(None)
    guard = Guard(ours, int(said or b"0"), states, frozen)
    armed.append(guard)
    return guard


def watch(
    link: socket.socket,
    name: socket.socket,
    states: list[dict[str, Any]],
    frozen: str,
    lease: float,
    limit: float,
) -> None:
    """The watcher's whole life."""
    detach({link.fileno(), name.fileno()})
    keep = [hold_cgroup(path) for path in sorted({one["cgroup"] for one in states if one["kind"] == "hand"})]
    now = time.monotonic()
    until, end = now + lease, now + limit
    link.sendall(str(os.getpid()).encode())
    why = ""
    while not why:
        left = min(until, end) - time.monotonic()
        if left <= 0:
            why = "lease" if until < end else "limit"
            break
        if not select.select([link], [], [], left)[0]:
            continue
        try:
            word = link.recv(1)
        except OSError:
            word = b""
        if word == RENEW and tell(link, RENEW):
            until = time.monotonic() + lease
        else:
            why = "asked" if word == RESTORE else "lost"
    tell(link, BEGUN)
    supervision.let_go(states, frozen)
    account = revive.revive(states)
    release(keep)
    if tell(link, json.dumps(dict(account, why=why)).encode("ascii")):
        link.shutdown(socket.SHUT_WR)
    os._exit(0)


def tell(link: socket.socket, words: bytes) -> bool:
    """Say it to the agent; False when that is gone."""
    try:
        link.sendall(words)
        return True
    except OSError:
        return False


def detach(kept: set[int]) -> None:
    """Survive what ends the session that we come from."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGPIPE, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir("/")
    null = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(null, stream)
    for descriptor in set(range(3, 4096)) - kept:
        try:
            os.close(descriptor)
        except OSError:
            pass
    # out of the session's cgroup: a login manager that kills a session's processes must not find this one
    cgroups.move(0, "/")


def hold_cgroup(path: str) -> int:
    """Keep a login session's cgroup from vanishing while the workers, perhaps its last processes, are
    down.
    """
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        cgroups.move(0, path)
        while os.getppid() == parent:
            time.sleep(0.5)
    finally:
        os._exit(0)


def release(keep: list[int]) -> None:
    for pid in keep:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
