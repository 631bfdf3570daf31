"""Being interrupted, and ending then: told whole, with status 130, whatever else is typed meanwhile."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

#: Seconds after Ctrl-C in which connections that are being made may end in order.
PATIENCE = 2.0


@contextmanager
def interruptible(
    act: Callable[[], None], *, times: int = 2, signals: Sequence[signal.Signals] = (signal.SIGINT,)
) -> Iterator[None]:
    """Within: each of ``signals`` calls ``act`` and raises KeyboardInterrupt, ``times`` times and no more.

    Once that has happened they are ignored until the process ends: one more Ctrl-C must neither cut off
    the account of what was done nor, when Python is ending already, turn status 130 into a kill.
    """
    came = 0

    def interrupted(_signum: int, _frame: object) -> None:
        nonlocal came
        came += 1
        if came == times:
            hold(signals)
        act()
        raise KeyboardInterrupt

    before = {one: signal.signal(one, interrupted) for one in signals}
    try:
        yield
    finally:
        if came:
            hold(signals)
        else:
            for one, handler in before.items():
                signal.signal(one, handler)


def hold(signals: Sequence[signal.Signals] = (signal.SIGINT,)) -> None:
    """Ignore ``signals`` from now on: this process is ending, and is to end in order."""
    for one in signals:
        signal.signal(one, signal.SIG_IGN)


def leave(status: int) -> None:
    """End this process now if threads still wait for a VM: Python would wait for them."""
    here = threading.current_thread()
    if any(thread is not here and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
