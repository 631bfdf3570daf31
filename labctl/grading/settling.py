"""States that settle by themselves: a server that came back is UP when its health checks have seen it, a zone
is served when BIND has loaded it. Who looks once, just then, sees what is not so for long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from labctl.probes import Observed, Request, Unobserved

T = TypeVar("T")
Fetch = Callable[[Sequence[Request[Any]]], Mapping[str, Observed[Any]]]

#: Seconds between two looks.
EVERY = 1.0


@dataclass(frozen=True)
class Settling(Generic[T]):
    """A request that is repeated until ``holds`` says so of its observation, or for ``within`` seconds."""

    request: Request[T]
    holds: Callable[[T], bool]
    within: float

    @classmethod
    def of(cls, request: Request[T], holds: Callable[[T], bool], within: float) -> Settling[T]:
        """Kept beside a single look at the same: that one says how it was at first."""
        return cls(replace(request, args={**request.args, "settles_within": within}), holds, within)

    def again(self, count: int) -> Settling[T]:
        return replace(self, request=replace(self.request, args={**self.request.args, "again": count}))

    def ended_early(self, seen: Observed[T]) -> bool:
        """It was not so, and there was time left. What was waited is kept in hundredths of a second."""
        if isinstance(seen.value, Unobserved) or seen.waited + 0.01 >= self.within:
            return False
        return not self.holds(seen.value)


def by_key(every: Iterable[Settling[Any]]) -> dict[str, Settling[Any]]:
    """What is looked at until all that is awaited of it holds."""
    found: dict[str, Settling[Any]] = {}
    for one in every:
        key = one.request.key
        found[key] = _both(found[key], one) if key in found else one
    return found


def _both(one: Settling[Any], two: Settling[Any]) -> Settling[Any]:
    return replace(one, holds=lambda value: one.holds(value) and two.holds(value))


@dataclass(frozen=True)
class Settled(Generic[T]):
    """The last look. ``reached``: it was as awaited; ``seconds`` after the first of ``looks``."""

    value: T
    reached: bool
    looks: int
    seconds: float

    def __str__(self) -> str:
        if self.looks == 1:
            return "at once" if self.reached else "looked at once"
        if self.reached:
            return f"after {self.seconds:.0f} s, {self.looks} looks"
        return f"not within {self.seconds:.0f} s, {self.looks} looks"


@dataclass(frozen=True)
class Clock:
    """What time it is, in seconds, and how to let it pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


REAL = Clock()


def fetch_settled(
    wave: Sequence[Request[Any]], settling: Mapping[str, Settling[Any]], fetch: Fetch, clock: Clock
) -> dict[str, Observed[Any]]:
    """A wave's observations, by key. What has yet to settle (``settling``, by key) is looked at again, all of
    it together, each time with what is left; what cannot be observed any more is not waited for.
    """
    began = clock.now()
    found = dict(fetch(wave))
    looks, at = 1, 0.0
    while True:
        left = [
            key
            for key, one in settling.items()
            if key in found and at < one.within and not _done(one, found[key])
        ]
        if not left:
            return found
        # the last look is when the time is over, not before
        end = max(settling[key].within for key in left)
        clock.sleep(max(0.0, min(EVERY, began + end - clock.now())))
        looks, at = looks + 1, clock.now() - began
        again = fetch([settling[key].request for key in left])
        for key in left:
            if key in again:
                found[key] = replace(again[key], looks=looks, waited=round(at, 2))
            else:
                found.pop(key)


def _done(one: Settling[Any], found: Observed[Any]) -> bool:
    if isinstance(found.value, Unobserved):
        return True
    try:
        return one.holds(found.value)
    except (Exception, SystemExit):  # noqa: BLE001  an author's code
        return True  # the check's own mistake: it is told when the check is judged
