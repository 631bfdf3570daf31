"""The observations of one VM's run, and how a check gets at them.

A run can be judged again from its evidence without the VM: the same checks over a store that is complete.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

from labctl.grading.settling import Settled, Settling
from labctl.probes import Malformed, Observed, Request, Unobserved, current_key, decode, encode

T = TypeVar("T")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")

#: For every format after the first, the probes whose observations mean something else since. What an older
#: run observed by them is left out when it is judged again; all the rest of it still says what it said.
CHANGED: tuple[frozenset[str], ...] = ()
FORMAT = 1 + len(CHANGED)
#: The cause of what a stored run does not have, or has in a form that this version does not read.
NOT_RECORDED = "not-recorded"


@dataclass
class Evidence:
    """Observations by their request's key. ``stored`` is JSON from an earlier run, decoded when a check
    asks.
    """

    observed: dict[str, Observed[Any]] = field(default_factory=dict)
    requests: dict[str, Request[Any]] = field(default_factory=dict)
    stored: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    def add(self, request: Request[Any], found: Observed[Any]) -> None:
        self.observed[request.key] = found
        self.requests[request.key] = request

    def get(self, request: Request[T]) -> Observed[T] | None:
        """The observation for ``request``; None when it has not been made."""
        seen = self.observed.get(request.key)
        if seen is not None:
            return seen
        record = self.stored.get(request.key)
        if record is None:
            return None
        try:
            found: Observed[T] = _read(request, record)
        except (Malformed, LookupError, TypeError, ValueError) as err:
            found = Observed(not_recorded(request, f"cannot be read: {err}"))
        self.add(request, found)
        return found

    def lacks(self, request: Request[Any]) -> bool:
        """It was asked for, and the stored run does not have it."""
        found = self.observed.get(request.key)
        value = found.value if found else None
        return isinstance(value, Unobserved) and value.cause == NOT_RECORDED

    def to_json(self) -> dict[str, Any]:
        """``{"format", "observations": {id: {"key", "vantage", "seconds", "value" | "error"}}}``; with
        ``looks`` and ``waited`` where it was looked at more than once.
        """
        rows: dict[str, Any] = {}
        for key, found in self.observed.items():
            request = self.requests[key]
            row: dict[str, Any] = {"key": key, "vantage": request.vantage, "seconds": found.seconds}
            if found.looks > 1:
                row |= {"looks": found.looks, "waited": found.waited}
            if isinstance(found.value, Unobserved):
                row["error"] = {"cause": found.value.cause, "message": found.value.message}
            else:
                row["value"] = encode(found.value)
            rows[request.id] = row
        return {"format": FORMAT, "observations": rows}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Evidence:
        """Evidence of an earlier run, by this version or one before. What changed its meaning since is left
        out.

        Raises ``ValueError`` for a format that this version does not know.
        """
        written = data.get("format")
        if not isinstance(written, int) or not 1 <= written <= FORMAT:
            raise ValueError(f"evidence of format {written}; this version reads 1 to {FORMAT}")
        changed = tuple(json.dumps([name])[:-1] + "," for later in CHANGED[written - 1 :] for name in later)
        rows = data["observations"].values()
        return cls(
            stored={current_key(row["key"]): row for row in rows if not row["key"].startswith(changed)}
        )


def not_recorded(request: Request[Any], why: str = "is not in the stored evidence of that run") -> Unobserved:
    """Of a stored run: what nobody looked at then, or looked at in another way."""
    return Unobserved(NOT_RECORDED, f"{request.probe.name} ({request.vantage}) {why}")


def _read(request: Request[T], record: Mapping[str, Any]) -> Observed[T]:
    """An observation as it was stored. Raises what comes of reading a form that is not today's."""
    error = record.get("error")
    if error:
        return Observed(Unobserved(str(error["cause"]), str(error["message"])))
    return Observed(
        value=decode(request.probe.shape, record["value"]),
        seconds=float(record["seconds"]),
        looks=int(record.get("looks", 1)),
        waited=float(record.get("waited", 0.0)),
    )


class Wanted(Exception):
    """A check needs observations that have not been made: it is called again when they have."""

    def __init__(self, requests: tuple[Request[Any], ...], settling: tuple[Settling[Any], ...] = ()) -> None:
        super().__init__("observations wanted")
        self.requests = requests
        self.settling = settling


class NotObserved(Exception):
    """An observation that a check needs could not be made."""

    def __init__(self, request: Request[Any], why: Unobserved) -> None:
        super().__init__(why.message)
        self.request = request
        self.why = why


Stop = TypeVar("Stop", Wanted, NotObserved)


class See:
    """What a check looks through: ``see(request)`` is the observation.

    Several requests at once give a tuple, and are fetched together: ask for everything that does not depend
    on an answer in one go. ``used`` records what the judgement rests on, ``stopped`` why the check cannot
    go on: it holds also when the check catches that.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._used: dict[str, Request[Any]] = {}
        self.stopped: Wanted | NotObserved | None = None

    @property
    def used(self) -> tuple[Request[Any], ...]:
        return tuple(self._used.values())

    @overload
    def __call__(self, one: Request[A], /) -> A: ...
    @overload
    def __call__(self, one: Request[A], two: Request[B], /) -> tuple[A, B]: ...
    @overload
    def __call__(self, one: Request[A], two: Request[B], three: Request[C], /) -> tuple[A, B, C]: ...
    @overload
    def __call__(
        self, one: Request[A], two: Request[B], three: Request[C], four: Request[D], /
    ) -> tuple[A, B, C, D]: ...
    def __call__(self, *requests: Request[Any]) -> Any:
        found = self.all(requests)
        return found[0] if len(requests) == 1 else found

    def all(self, requests: tuple[Request[A], ...] | list[Request[A]]) -> tuple[A, ...]:
        """The observations for any number of requests of one kind, in order."""
        values = []
        for request, one in zip(requests, self._found(requests), strict=True):
            if isinstance(one.value, Unobserved):
                raise self._stop(NotObserved(request, one.value))
            values.append(one.value)
        return tuple(values)

    def attempt(self, request: Request[A]) -> A | Unobserved:
        """The observation, or why there is none: for checks that can do without."""
        value: A | Unobserved = self._found((request,))[0].value
        return value

    def until(self, request: Request[A], holds: Callable[[A], bool], *, within: float) -> Settled[A]:
        """The observation when ``holds`` says so of it: until then it is made again, for ``within`` seconds.

        How often and how long is kept in the evidence. What ``see(request)`` gives is how it was at first.
        """
        return self.all_until([(request, holds)], within=within)[0]

    def all_until(
        self, wanted: Sequence[tuple[Request[A], Callable[[A], bool]]], *, within: float
    ) -> tuple[Settled[A], ...]:
        """Any number of requests of one kind, each until its own condition holds; all in the same time."""
        every = tuple(self._unless_early(Settling.of(request, holds, within)) for request, holds in wanted)
        found = self._found(tuple(one.request for one in every), every)
        settled = []
        for one, seen in zip(every, found, strict=True):
            if isinstance(seen.value, Unobserved):
                raise self._stop(NotObserved(one.request, seen.value))
            settled.append(Settled(seen.value, one.holds(seen.value), seen.looks, seen.waited))
        return tuple(settled)

    def _unless_early(self, one: Settling[A]) -> Settling[A]:
        """What another check awaited of the same may have been so before ``one`` had all of its time: then it
        is looked at once more, under a key of its own.
        """
        count = 1
        while (seen := self._evidence.get(one.request)) and one.ended_early(seen):
            one, count = one.again(count), count + 1
        return one

    def _stop(self, why: Stop) -> Stop:
        self.stopped = self.stopped or why
        return why

    def _found(
        self, requests: Sequence[Request[Any]], settling: tuple[Settling[Any], ...] = ()
    ) -> list[Observed[Any]]:
        found, missing = [], []
        for request in requests:
            one = self._evidence.get(request)
            if one is None:
                missing.append(request)
            else:
                found.append(one)
        if missing:
            raise self._stop(Wanted(tuple(missing), settling))
        for request in requests:
            self._used.setdefault(request.key, request)
        return found
