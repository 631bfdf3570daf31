"""What an op is given and how it says that it failed."""

from __future__ import annotations

import time


class Failed(Exception):
    """The op could not do what it was asked, for a reason that the user should read.

    The op's value becomes ``{"failed": True, "msg": msg, **fields}``.
    """

    def __init__(self, msg: str, **fields: object) -> None:
        super().__init__(msg)
        self.msg = msg
        self.fields = fields


class Context:
    """How an op is to run. ``deadline`` is on the VM's monotonic clock, in seconds."""

    def __init__(self, deadline: float, check: bool = False, diff: bool = False) -> None:
        self.deadline = deadline
        self.check = check
        self.diff = diff

    def remaining(self) -> float:
        """Seconds left for this op, never negative."""
        return max(0.0, self.deadline - time.monotonic())
