"""Naming a balancing algorithm from the order of the answers, with the chance that the name is luck."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.probes import Replies

from .facts import worker_id

#: Algorithms that go round when one client asks one thing after the other. (leastconn: all have no connection
#: then.)
CYCLES = frozenset({"roundrobin", "static-rr", "leastconn"})
#: Algorithms that give one client the same server every time.
ALWAYS_ONE = frozenset({"source", "first", "uri", "url_param", "hdr", "rdp-cookie", "hash"})
#: Of the steps from one answer to the next, how many must go to the next id: others' requests take a turn now
#: and then.
STEADY = 0.8
#: How far equal shares may be apart in one sample where the order goes round, for the same reason.
TURNS = 2


@dataclass(frozen=True)
class Order:
    """``name``: "roundrobin", "always the same", "no fixed order" or "no answers". ``luck``: the chance that
    choosing at random gives an order like this; 1 where nothing follows from it. ``even``: equal shares."""

    name: str
    luck: float
    ids: tuple[int, ...]
    counts: Mapping[int, int]
    even: bool
    errors: int
    first_error: str

    def fits(self, algorithm: str) -> bool:
        """Whether this is what ``balance ALGORITHM`` does."""
        word = algorithm.partition("(")[0]
        if word in CYCLES:
            return self.name == "roundrobin"
        if word in ALWAYS_ONE:
            return self.name == "always the same"
        return self.name in ("no fixed order", "roundrobin", "always the same")


def observe(replies: Replies, expected: tuple[int, ...]) -> Order:
    """What the order of the answers looks like, for workers with the ids ``expected``."""
    ids: list[int] = []
    errors: list[str] = []
    for reply in replies.replies:
        number = worker_id(reply.body) if reply.status == 200 else None
        if number is None:
            errors.append(str(reply))
        else:
            ids.append(number)
    name, luck = _name(ids)
    whole = len(ids) // max(1, len(expected)) * len(expected)
    counts = Counter(ids[:whole] or ids)
    spread = max(counts.values(), default=0) - min(counts.values(), default=0)
    even = set(counts) == set(expected) and spread <= (TURNS if name == "roundrobin" else 0)
    return Order(
        name=name,
        luck=luck,
        ids=tuple(ids),
        counts=counts,
        even=even,
        errors=len(errors),
        first_error=errors[0] if errors else "",
    )


def _name(ids: list[int]) -> tuple[str, float]:
    if not ids:
        return "no answers", 1.0
    kinds = len(set(ids))
    if kinds == 1:
        return "always the same", 1.0
    cycle = list(dict.fromkeys(ids))
    following = {one: cycle[(at + 1) % kinds] for at, one in enumerate(cycle)}
    steps = list(itertools.pairwise(ids))
    steady = sum(following[one] == two for one, two in steps)
    # The first time round defines the order: only the steps after it prove anything.
    proof = len(steps) - (kinds - 1)
    if proof < kinds or steady < STEADY * len(steps):
        return "no fixed order", 1.0
    broken = len(steps) - steady
    # at most `broken` of `proof` further steps go elsewhere, each step right with chance 1/kinds; the n!
    # orders of the first round out of n^n are what makes a first round at all
    tail = sum(
        math.comb(proof, k) * (1 / kinds) ** (proof - k) * (1 - 1 / kinds) ** k for k in range(broken + 1)
    )
    return "roundrobin", min(1.0, tail * math.factorial(kinds) / kinds**kinds)
