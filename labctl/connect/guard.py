"""What happens at a deadline, whatever those it is for are doing then."""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from labctl.deadline import Deadline

log = logging.getLogger(__name__)


@dataclass(order=True)
class _Armed:
    at: float
    number: int
    action: Callable[[], object] | None = field(compare=False)

    def disarm(self) -> None:
        self.action = None


class _Guard:
    """One thread for the deadlines of all connections: a ``threading.Timer`` is a thread for each."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._armed: list[_Armed] = []
        #: Notified when one is armed for before all others.
        self._sooner = threading.Condition()
        self._watching: threading.Thread | None = None

    def arm(self, deadline: Deadline, action: Callable[[], object]) -> Callable[[], None]:
        one = _Armed(deadline.at, next(self._numbers), action)
        with self._sooner:
            while self._armed and self._armed[0].action is None:
                heapq.heappop(self._armed)
            heapq.heappush(self._armed, one)
            if self._watching is None:
                watching = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                watching.start()  # where there is no room for a thread now, there may be later
                self._watching = watching
            elif self._armed[0] is one:
                self._sooner.notify()
        return one.disarm

    def _watch(self) -> None:
        while True:
            with self._sooner:
                while not self._armed or self._armed[0].at > time.monotonic():
                    left = self._armed[0].at - time.monotonic() if self._armed else threading.TIMEOUT_MAX
                    self._sooner.wait(min(left, threading.TIMEOUT_MAX))
                action = heapq.heappop(self._armed).action
            if action is not None:
                _do(action)


def _do(action: Callable[[], object]) -> None:
    """An action may take long: the others are not to wait for it, unless there is no room for a thread."""
    try:
        threading.Thread(target=action, name="deadline", daemon=True).start()
    except RuntimeError:
        try:
            action()
        except Exception:
            log.debug("what was to be done at a deadline failed", exc_info=True)


_GUARD = _Guard()


def at(deadline: Deadline, action: Callable[[], object]) -> Callable[[], None]:
    """Do ``action`` at ``deadline``, in a thread of its own. What is returned, called before, prevents it."""
    return _GUARD.arm(deadline, action)
