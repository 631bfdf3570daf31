"""Single keys from the terminal, without Enter."""

from __future__ import annotations

import os
import select
import sys
import termios
import time
import tty
from types import TracebackType
from typing import Any


class Keys:
    """While entered, keys come one by one and are not shown; Ctrl-C stays Ctrl-C. Without a terminal there
    are none.
    """

    def __init__(self) -> None:
        self.there = sys.stdin is not None and sys.stdin.isatty()
        self._before: list[Any] = []

    def __enter__(self) -> Keys:
        if self.there:
            self._before = termios.tcgetattr(sys.stdin)
            tty.setcbreak(sys.stdin, termios.TCSANOW)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.there:
            termios.tcsetattr(sys.stdin, termios.TCSANOW, self._before)

    def wait(self, seconds: float) -> str:
        """A key, "" when none came in so many seconds."""
        if not self.there:
            time.sleep(seconds)
            return ""
        ready, _, _ = select.select([sys.stdin], [], [], seconds)
        if not ready:
            return ""
        key = os.read(sys.stdin.fileno(), 1)
        if not key:
            self.there = False  # the terminal has gone
        return key.decode("ascii", "replace")
