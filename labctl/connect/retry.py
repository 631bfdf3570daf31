"""Connecting once more, when the failure may have been a passing one.

Never anything but connecting: what came back over a connection, right or wrong, is an answer.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from labctl.deadline import Deadline
from labctl.errors import Unreachable

T = TypeVar("T")


@dataclass
class Retry:
    """How often one host is tried, and what became of it. Not to be shared by hosts.

    The pauses are about ``pause`` seconds, then twice that and so on, each half as long to half again as
    long by chance: VMs that failed together (a switch, sshd's MaxStartups on a jump host) do not come back
    together. ``stop`` ends them. ``failed`` are the tries that failed and were followed by another.
    """

    tries: int = 3
    pause: float = 1.0
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
