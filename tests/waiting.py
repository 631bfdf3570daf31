"""Waiting for what happens elsewhere: in another process, on a VM."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds between two looks.
_EVERY = 0.05


def comes(condition: Callable[[], object], seconds: float) -> bool:
    """Whether it is so by then; as soon as it is."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(_EVERY)
    return True


def wait_for(condition: Callable[[], object], what: str, seconds: float = 60.0) -> None:
    """Fails the test, which says ``what`` it waited for, when that does not come."""
    assert comes(condition, seconds), f"{what}: not within {seconds:.0f} s"
