"""A bound on the CPU that something takes."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


class TooMuchCpu(BaseException):
    """No Exception: judging makes an ERROR of those of a check, and goes on."""


@contextlib.contextmanager
def within_seconds_of_cpu(seconds: float) -> Iterator[None]:
    """Ends what takes longer, even in the middle of one call of a library's: no speed, a bound."""

    def over(*_: object) -> None:
        raise TooMuchCpu(f"more than {seconds} s of CPU")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
