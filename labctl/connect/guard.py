"""What happens at a deadline, whatever those it is for are doing then."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from labctl.deadline import Deadline


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
                self._watching = threading.Thread(target=self._watch, name="deadlines", daemon=True)
                self._watching.start()
            elif self._armed[0] is one:
                self._sooner.notify()
        return one.disarm

    def _watch(self) -> None:
        while True:
            with self._sooner:
                while not self._armed or self._armed[0].at > time.monotonic():
                    left = self._armed[0].at - time.monotonic() if self._armed else None
                    self._sooner.wait(left)
                action = heapq.heappop(self._armed).action
            if action is not None:
                # an action may take long: the others are not to wait for it
                threading.Thread(target=action, name="deadline", daemon=True).start()


_GUARD = _Guard()


def at(deadline: Deadline, action: Callable[[], object]) -> Callable[[], None]:
    """Do ``action`` at ``deadline``, in a thread of its own. What is returned, called before, prevents it."""
    return _GUARD.arm(deadline, action)
