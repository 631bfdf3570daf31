"""A bound on the CPU that something takes."""

from __future__ import annotations

import contextlib
import functools
import gc
import signal
import time
from collections.abc import Iterator


class TooMuchCpu(BaseException):
    """No Exception: judging makes an ERROR of those of a check, and goes on."""


#: How often the work of slowness() is done in a second where the bounds in the tests were written.
_PER_SECOND = 100


@functools.cache
def slowness() -> float:
    """How many times as long as there this machine takes for the same work, at least once as long."""

    def once() -> float:
        began = time.thread_time()
        sum(len(str(number)) for number in range(100_000))
        return time.thread_time() - began

    return max(1.0, sorted(once() for _ in range(5))[2] * _PER_SECOND)


@contextlib.contextmanager
def within_seconds_of_cpu(seconds: float) -> Iterator[None]:
    """Ends what takes twice as long, even in the middle of one call of a library's: no speed, a bound.

    The collector rests meanwhile: what it would look through is what other tests left.
    """

    def over(*_: object) -> None:
        raise TooMuchCpu(f"more than {seconds} s of CPU")

    before = signal.signal(signal.SIGVTALRM, over)
    signal.setitimer(signal.ITIMER_VIRTUAL, 2 * seconds * slowness())
    gc.disable()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        gc.enable()
        signal.signal(signal.SIGVTALRM, before)
