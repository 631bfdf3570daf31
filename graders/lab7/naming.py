"""Naming a balancing algorithm: what each would have done, shot by shot, and how likely that makes it.

For every shot each hypothesis says with what chance each server is taken, given who asks, what for, what is
still open, and what has been answered so far. The product over all shots is its likelihood. What is
``DOUBT`` times less likely than the best is ruled out; all others are named. By the theorem of Bayes, with
nothing known before, the chance that the right one was ruled out is the share of what was ruled out in the
sum of all. (And whatever is true: a wrong hypothesis is 1/DOUBT times as likely with a chance below DOUBT.)
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

#: A hypothesis that is so much less likely than the best is ruled out.
DOUBT = 1e-5
#: How often somebody else's request comes between two of ours, and takes a turn.
STRANGERS = 0.03
#: No sample proves more than this: what is not among the hypotheses always remains.
LEAST = 1e-9
#: How many of the last answers are compared with what came before, where weights make the order long.
MEMORY = 8
#: Of the answers after the first time round, how many must repeat it: after a stranger's turn those of one
#: round are out of step. And how much better a longer round must do than a shorter one.
REPEATED, BETTER = 0.75, 0.1
#: What followed is only held against later requests, as many as this: a run of one and the same server while
#: others are busy is not an order.
LATER = 12
#: A round takes no more requests than this, unless the configured weights have it so.
ROUND = 36


@dataclass(frozen=True)
class Seen:
    """One request and the server (by id) that answered. ``asks`` stands for what the request said (its
    header or parameter), ``held``: it stayed open until all the others were answered.
    """

    server: int
    source: str = ""
    asks: str = ""
    held: bool = False


@dataclass(frozen=True)
class Named:
    """``names`` are HAProxy's words for what the sample cannot tell apart, the likeliest first; none where
    there is nothing to tell. ``chance`` is that of the right one not being among them.

    ``weights`` by server, where the order shows them, in lowest terms.
    """

    names: tuple[str, ...]
    chance: float
    weights: Mapping[int, int]

    def __str__(self) -> str:
        if not self.names:
            return "no algorithm"
        told = " or ".join([", ".join(self.names[:-1]), self.names[-1]] if self.names[1:] else self.names)
        if len(set(self.weights.values())) > 1:
            told += ", weights " + ":".join(str(one) for _, one in sorted(self.weights.items()))
        return told

    def fits(self, algorithm: str) -> bool:
        """Whether ``balance ALGORITHM`` is among what was seen."""
        return algorithm.partition("(")[0] in self.names


Chances = Mapping[int, float]


class Way(ABC):
    """One way to choose among servers, given with their weights. It foretells each request, and learns from
    the answer.
    """

    def __init__(self, weights: Mapping[int, int]) -> None:
        self.weights = weights
        self.servers = tuple(weights)
        self.counts: Counter[int] = Counter()
        self.busy: Counter[int] = Counter()

    @abstractmethod
    def foretell(self, one: Seen) -> Chances:
        """With what chance each server is taken; ``one.server`` is not looked at."""

    def learn(self, one: Seen) -> None:
        self.counts[one.server] += 1
        self.busy[one.server] += one.held


class InTurn(Way):
    """Each follows the one that it mostly followed; in the first round one that had no turn yet."""

    def __init__(self, weights: Mapping[int, int]) -> None:
        super().__init__(weights)
        self.last: int | None = None
        self.following: dict[int, Counter[int]] = defaultdict(Counter)

    def foretell(self, _one: Seen) -> Chances:
        return self.next_of(self.servers)

    def next_of(self, among: Sequence[int]) -> Chances:
        """The next in turn of those ``among`` which the choice is."""
        waiting = [server for server in among if not self.counts[server]]
        follower = self._follower(among)
        if follower is None:
            return _even(waiting or among)
        if not waiting:
            return {follower: 1.0}
        # who has had no turn is late: a stranger took it, or this is no round at all
        return {follower: 0.5, **{server: 0.5 / len(waiting) for server in waiting}}

    def _follower(self, among: Sequence[int]) -> int | None:
        """Who comes next, as far as that was seen before."""
        at = self.last
        for _ in self.servers:
            if at is None or at not in self.following:
                return None
            at = self.following[at].most_common(1)[0][0]
            if at in among:
                return at
        return None

    def learn(self, one: Seen) -> None:
        super().learn(one)
        if self.last is not None:
            self.following[self.last][one.server] += 1
        self.last = one.server


class InTurnByWeight(Way):
    """What mostly followed when the answers before were the same: a long order repeats itself. In a round
    every server has a turn.
    """

    def __init__(self, weights: Mapping[int, int], longest: int) -> None:
        super().__init__(weights)
        self.longest = longest
        self.tail: tuple[int, ...] = ()
        self.following: dict[tuple[int, ...], Counter[int]] = defaultdict(Counter)
        self.fresh: deque[tuple[tuple[int, ...], int]] = deque()

    def foretell(self, _one: Seen) -> Chances:
        if self.counts.total() >= self.longest and len(self.counts) < len(self.servers):
            return _even([server for server in self.servers if not self.counts[server]])
        for start in range(len(self.tail)):
            if self.tail[start:] in self.following:
                return {self.following[self.tail[start:]].most_common(1)[0][0]: 1.0}
        return _even(self.servers)

    def learn(self, one: Seen) -> None:
        super().learn(one)
        self.fresh.append((self.tail, one.server))
        if len(self.fresh) > LATER:
            tail, server = self.fresh.popleft()
            for start in range(len(tail)):
                self.following[tail[start:]][server] += 1
        self.tail = (*self.tail, one.server)[-MEMORY:]


class LeastOpen(InTurn):
    """One of those with the fewest open requests, in turn."""

    def foretell(self, _one: Seen) -> Chances:
        fewest = min(self.busy[server] for server in self.servers)
        return self.next_of([server for server in self.servers if self.busy[server] == fewest])


class AtRandom(Way):
    """By shares that only show as one goes: HAProxy's ring does not give every server the same."""

    def foretell(self, _one: Seen) -> Chances:
        total = self.counts.total() + 2 * len(self.servers)
        return {server: (self.counts[server] + 2) / total for server in self.servers}


class BetterOfTwo(AtRandom):
    """Two at random, and of them the one with fewer open requests: what ``balance random`` does."""

    def foretell(self, _one: Seen) -> Chances:
        shares = super().foretell(_one)
        return {
            mine: shares[mine] * sum(self._wins(mine, *drawn) for drawn in shares.items()) for mine in shares
        }

    def _wins(self, mine: int, other: int, share: float) -> float:
        if self.busy[mine] == self.busy[other]:
            return share
        return 2 * share if self.busy[mine] < self.busy[other] else 0.0


class ByKey(Way):
    """Always the same server for the same key; a new key falls to one by weight, or evenly."""

    def __init__(self, weights: Mapping[int, int], key: Callable[[Seen], str]) -> None:
        super().__init__(weights)
        self.key = key
        self.chosen: dict[str, int] = {}

    def foretell(self, one: Seen) -> Chances:
        mine = self.chosen.get(self.key(one))
        if mine is not None:
            return {mine: 1.0}
        total, count = sum(self.weights.values()), len(self.servers)
        return {one: 0.5 * weight / total + 0.5 / count for one, weight in self.weights.items()}

    def learn(self, one: Seen) -> None:
        self.chosen.setdefault(self.key(one), one.server)


class First(Way):
    """The first one that has fewer than ``most`` open (its maxconn)."""

    def __init__(self, weights: Mapping[int, int], most: int) -> None:
        super().__init__(weights)
        self.most = most

    def foretell(self, _one: Seen) -> Chances:
        free = [server for server in self.servers if self.busy[server] < self.most]
        return {(free or self.servers)[0]: 1.0}


def _even(servers: Sequence[int]) -> Chances:
    return {one: 1 / len(servers) for one in servers}


def _hypotheses(weights: Mapping[int, int], longest: int) -> Mapping[str, tuple[Way, ...]]:
    """Ways for each hypothesis to come about; each has an equal part in its likelihood."""
    in_turn: tuple[Way, ...] = (InTurn(weights),)
    if longest > len(weights):
        in_turn += (InTurnByWeight(weights, longest),)
    return {
        "in turn": in_turn,
        "least open": (LeastOpen(weights),),
        "at random": (BetterOfTwo(weights), AtRandom(weights)),
        "by source": (ByKey(weights, lambda one: one.source),),
        "by what is asked": (ByKey(weights, lambda one: one.asks),),
        "always the same": (ByKey(weights, lambda _: ""),),
        "the first": tuple(First(weights, most) for most in (1, 2, 3, 1000)),
    }


#: HAProxy's words for them. One word may stand for several: ``hash`` hashes what it is told to.
_WORDS: Mapping[str, tuple[str, ...]] = {
    "in turn": ("roundrobin", "static-rr"),
    "least open": ("leastconn",),
    "at random": ("random",),
    "by source": ("source", "hash"),
    "by what is asked": ("hdr", "url_param", "hash"),
    "always the same": ("uri", "hash"),
    "the first": ("first",),
}
#: Words for what gives one client, who asks one thing after the other, each server in turn; and always one.
IN_TURN = frozenset({*_WORDS["in turn"], *_WORDS["least open"]})
ALWAYS_ONE = frozenset(
    word for key in ("by source", "by what is asked", "always the same", "the first") for word in _WORDS[key]
)


def name(
    seen: Sequence[Seen], weights: Mapping[int, int], longest: int = ROUND, doubt: float = DOUBT
) -> Named:
    """What the order of the answers shows. ``weights`` are those of the servers that can be chosen, by id, in
    the order of the configuration; answers of others are left out. ``longest`` is how many requests a round
    may take: no more than there are servers where each has one turn in it.
    """
    known = [one for one in seen if one.server in weights]
    if len(weights) < 2 or not known:
        return Named((), 1.0, {})
    logs = {key: _log(ways, known) for key, ways in _hypotheses(weights, longest).items()}
    best = max(logs.values())
    likely = {key: math.exp(log - best) for key, log in logs.items()}
    kept = sorted((key for key in likely if likely[key] >= doubt), key=lambda key: -likely[key])
    outside = sum(likely[key] for key in likely if key not in kept)
    names = tuple(dict.fromkeys(word for key in kept for word in _WORDS[key]))
    turns = _turns([one.server for one in known], tuple(weights)) if "in turn" in kept else {}
    return Named(names, max(LEAST, outside / sum(likely.values())), turns)


def _log(ways: Sequence[Way], seen: Sequence[Seen]) -> float:
    """The logarithm of the likelihood of a hypothesis that comes about in these ways."""
    logs = [sum(_told(way, one) for one in seen) for way in ways]
    best = max(logs)
    return best + math.log(sum(math.exp(log - best) for log in logs) / len(logs))


def _told(way: Way, one: Seen) -> float:
    chance = way.foretell(one).get(one.server, 0.0) * (1 - STRANGERS) + STRANGERS / len(way.servers)
    way.learn(one)
    return math.log(chance)


def _turns(ids: Sequence[int], servers: Sequence[int]) -> Mapping[int, int]:
    """How many turns each server has in one round, where the answers go round; {} where no round shows."""
    again: dict[int, float] = {}
    for period in range(len(servers), len(ids) // 2 + 1):
        pairs = [one == two for one, two in zip(ids, ids[period:], strict=False)]
        again[period] = sum(pairs) / len(pairs)
    best = max(again.values(), default=0.0)
    if best < REPEATED:
        return {}
    period = next(period for period, share in again.items() if share >= best - BETTER)
    rounds = len(ids) // period
    counts = Counter(ids[: rounds * period])
    turns = {one: round(counts[one] / rounds) for one in servers}
    common = math.gcd(*turns.values())
    return {one: turn // common for one, turn in turns.items()} if all(turns.values()) else {}
