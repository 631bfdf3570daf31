"""An absolute point in time by which work must be done.

Passing a deadline down, rather than a timeout, keeps the sum of many small waits bounded.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from labctl.errors import DeadlineExceeded


@dataclass(frozen=True)
class Deadline:
    """``at`` is on the clock of :func:`time.monotonic`, in seconds."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left, never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self.at

    def sooner(self, seconds: float) -> Deadline:
        """The earlier of this deadline and ``seconds`` from now."""
        return Deadline(min(self.at, time.monotonic() + seconds))

    def check(self, what: str) -> None:
        """Raise :class:`DeadlineExceeded` naming ``what`` when the time is over."""
        if self.expired:
            raise DeadlineExceeded(f"out of time while {what}")
