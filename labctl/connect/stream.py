"""What a connection offers, whatever carries it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from labctl.deadline import Deadline
from labctl.inventory import Host

#: How much of what a program says on stderr is kept: its end.
STDERR_TAIL = 8 << 10
#: The shell command to start, once it is known whether the login user is root.
Command = Callable[[bool], str]


class Stream(Protocol):
    """The standard input and output of one program on the VM."""

    def write(self, data: bytes, deadline: Deadline) -> None:
        """Send all of ``data``. Raises :class:`AgentFault` when the program has ended."""

    def read(self, most: int, deadline: Deadline) -> bytes:
        """Between 1 and ``most`` bytes. Raises EOFError at the end, DeadlineExceeded in time."""

    def wait(self, deadline: Deadline) -> int | None:
        """The program's exit status, or None when it has none by ``deadline``."""

    def stderr_tail(self) -> bytes:
        """The last bytes that the program wrote to stderr, at most ``STDERR_TAIL``."""

    def close(self) -> None: ...


class Connection(Protocol):
    """A connection to one VM."""

    host: Host

    @property
    def is_root(self) -> bool:
        """Whether programs run as root without sudo."""

    @property
    def host_key(self) -> str:
        """The fingerprint of the SSH host key it showed, which is the one on record; "" for this machine."""

    def execute(self, command: str, deadline: Deadline) -> Stream:
        """Start ``command`` with the login user's shell."""

    def close(self) -> None: ...
