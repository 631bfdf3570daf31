"""Connecting once more, when the failure may have been a passing one.

Never anything but connecting and starting the agent: what came back from that, right or wrong, is an answer.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from labctl.deadline import Deadline
from labctl.errors import DeadlineExceeded, Unreachable

T = TypeVar("T")


class NotInOneFlight(Unreachable):
    """The connection ended when the login and a program were asked for at once: perhaps for that."""


@dataclass
class Retry:
    """How often one host is tried, and what became of it. Not to be shared by hosts.

    The pauses are about ``pause`` seconds, then twice that and so on, each half as long to half again as
    long by chance: VMs that failed together (a switch, sshd's MaxStartups on a jump host) do not come back
    together. ``stop`` ends them. ``failed`` are the tries that failed and were followed by another.

    ``patience`` is for whoever begins more than a connection: after so many seconds a first try is given up
    for another. When packets are lost TCP waits twice as long each time, and what is slow by then stays slow
    for that connection alone.
    """

    tries: int = 3
    pause: float = 1.0
    patience: float = 25.0
    stop: threading.Event = field(default_factory=threading.Event)
    failed: list[str] = field(default_factory=list)

    def connect(self, once: Callable[[], T], deadline: Deadline) -> T:
        """What ``once`` returns; raises what its last try raised."""
        while True:
            try:
                return once()
            except Unreachable as err:
                number = len(self.failed) + 1
                wait = self.pause * 2 ** (number - 1) * random.uniform(0.5, 1.5)  # noqa: S311 - no secret
                over = number >= self.tries or wait >= deadline.remaining()
                if not err.passing or over or self.stop.wait(wait):
                    raise
                self.failed.append(err.message)

    def begin(self, once: Callable[[Deadline], T], deadline: Deadline) -> T:
        """What ``once`` returns by ``deadline``: a try that meets its patience is followed by one more, which
        has at least as much time. Raises what its last try raised.
        """
        if deadline.remaining() < 2 * self.patience:
            return once(deadline)
        try:
            return once(deadline.sooner(self.patience))
        except (DeadlineExceeded, Unreachable) as err:
            last = isinstance(err, Unreachable) and (not err.passing or len(self.failed) + 1 >= self.tries)
            if last or self.stop.is_set():
                raise
            self.failed.append(err.message)
        return once(deadline)
