"""Jump hosts: one connection to each, shared by all VMs behind it.

A connection for each VM would meet the jump host's MaxStartups. sshd's MaxSessions does not count the
channels that lead on.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from labctl.connect.route import Server
from labctl.deadline import Deadline
from labctl.errors import DeadlineExceeded, HostError, Unreachable

if TYPE_CHECKING:
    from labctl.connect.login import Login

#: Seconds that a failure holds for the other VMs, which do not wait one after the other: one that may pass,
#: for less than they pause before they try again, until it has come as often as each of them tries.
_FAILURE_HOLDS = 30.0
_PASSING_HOLDS = 0.4
_TRIES = 3

LogIn = Callable[[Server, Deadline], "Login"]


@dataclass
class _Hop:
    """A jump host in use. ``lock`` is held while connecting; ``users`` is guarded by the module's lock."""

    server: Server
    users: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    login: Login | None = None
    failure: HostError | None = None
    holds_until: float = 0.0
    failures: int = 0

    def ready(self, deadline: Deadline, log_in: LogIn) -> Login:
        if not self.lock.acquire(timeout=max(deadline.remaining(), 0.0)):
            raise DeadlineExceeded(f"{self.server.where} did not finish the SSH handshake in time")
        try:
            if self.login and self.login.transport.is_active():
                return self.login
            if self.failure and time.monotonic() < self.holds_until:
                raise type(self.failure)(self.failure.message, hint=self.failure.hint)
            self.close()
            try:
                self.login = log_in(self.server, deadline)
            except HostError as err:
                # One VM's deadline is not another's.
                self.failure = None if isinstance(err, DeadlineExceeded) else err
                self.failures += 1
                again = isinstance(err, Unreachable) and err.passing and self.failures < _TRIES
                self.holds_until = time.monotonic() + (_PASSING_HOLDS if again else _FAILURE_HOLDS)
                raise
            self.failures = 0
            return self.login
        finally:
            self.lock.release()

    def close(self) -> None:
        login, self.login = self.login, None
        if login:
            login.close()


_lock = threading.Lock()
_hops: dict[Server, _Hop] = {}
_keepers = 0


@contextmanager
def kept_hops() -> Iterator[None]:
    """Connections to jump hosts made inside stay up to its end, also while no VM uses them."""
    global _keepers  # noqa: PLW0603 - the run's own state, like the connections
    with _lock:
        _keepers += 1
    try:
        yield
    finally:
        with _lock:
            _keepers -= 1
        _close_idle()


@contextmanager
def through(server: Server, deadline: Deadline, log_in: LogIn) -> Iterator[Any]:
    """The transport of the jump host ``server``, connected to when it is not yet."""
    with _lock:
        hop = _hops.setdefault(server, _Hop(server))
        hop.users += 1
    try:
        yield hop.ready(deadline, log_in).transport
    finally:
        with _lock:
            hop.users -= 1
        _close_idle()


def _close_idle() -> None:
    with _lock:
        if _keepers:
            return
        idle = [server for server, hop in _hops.items() if not hop.users]
        ended = [_hops.pop(server) for server in idle]
    # Outside the lock: the end of one may be the end of the one in front of it.
    for hop in ended:
        hop.close()
