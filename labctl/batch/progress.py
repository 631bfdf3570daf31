"""How far a run over many hosts is: counts, and when it may be over. It shows nothing itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence


class Progress:
    """Told by the threads that work, asked by the one that shows.

    ``failed`` are the hosts whose work came to nothing, of those that are ``done``.
    """

    def __init__(self, hosts: Sequence[str], forks: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.total = len(hosts)
        self._forks = max(1, forks)
        self._clock = clock
        self._lock = threading.Lock()
        self._began = clock()
        self._running: dict[str, float] = {}
        self._took: list[float] = []
        self._failed = 0

    def began(self, host: str) -> None:
        with self._lock:
            self._running[host] = self._clock()

    def ended(self, host: str, *, failed: bool) -> None:
        with self._lock:
            now = self._clock()
            self._took.append(now - self._running.pop(host, now))
            self._failed += failed

    @property
    def done(self) -> int:
        return len(self._took)

    @property
    def failed(self) -> int:
        return self._failed

    @property
    def running(self) -> list[str]:
        with self._lock:
            return list(self._running)

    @property
    def seconds(self) -> float:
        """Since the run began."""
        return self._clock() - self._began

    @property
    def left(self) -> float | None:
        """Seconds that the rest may take, if it goes as it has gone; None before anything has ended."""
        with self._lock:
            if not self._took:
                return None
            usual = sum(self._took) / len(self._took)
            now = self._clock()
            ending = [max(0.0, usual - (now - since)) for since in self._running.values()]
            waiting = self.total - len(self._took) - len(self._running)
        if waiting <= 0:
            return max(ending, default=0.0)
        return (sum(ending) + waiting * usual) / self._forks
