"""Every balancing algorithm, simulated: what the experiment's answers would be, strangers and all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from random import Random

from labctl.grading import load_lab
from labctl.probes import Shot

_PACKAGE = (
    load_lab(Path(__file__).parent.parent.parent / "graders" / "lab7")
    .checks[0]
    .judge.__module__.rpartition(".")[0]
)
NAMING = import_module(f"{_PACKAGE}.naming")
TRIAL = import_module(f"{_PACKAGE}.trial")


@dataclass
class Balancer(ABC):
    """``shares`` are the weights, by server. ``choose`` takes a turn for a shot."""

    shares: tuple[int, ...]
    random: Random
    busy: list[int] = field(init=False)
    salt: float = field(init=False)

    def __post_init__(self) -> None:
        self.busy = [0] * len(self.shares)
        self.salt = self.random.random()
        self.start()

    def start(self) -> None:  # noqa: B027  an algorithm may have nothing to begin with
        pass

    @abstractmethod
    def choose(self, shot: Shot) -> int:
        """The server that answers."""

    def any_of(self, key: object) -> int:
        """A server by hash: weighted, and the same for the same key."""
        chooser = Random(f"{self.salt} {key}")
        return chooser.choices(range(len(self.shares)), self.shares)[0]


class RoundRobin(Balancer):
    """Smooth: each is due in equal steps, as src/lb_fwrr.c has it."""

    def start(self) -> None:
        order = list(range(len(self.shares)))
        self.random.shuffle(order)
        self.due = {one: place for place, one in enumerate(order)}
        self.due = {
            one: due / len(order) * (sum(self.shares) / self.shares[one]) for one, due in self.due.items()
        }
        for _ in range(self.random.randrange(20)):
            self.choose(Shot())

    def choose(self, shot: Shot) -> int:
        one = min(self.due, key=lambda each: (self.due[each], each))
        self.due[one] += sum(self.shares) / self.shares[one]
        return one


class StaticRoundRobin(Balancer):
    def start(self) -> None:
        self.map = [one for one, weight in enumerate(self.shares) for _ in range(weight)]
        self.random.shuffle(self.map)
        self.at = self.random.randrange(len(self.map))

    def choose(self, shot: Shot) -> int:
        self.at += 1
        return self.map[self.at % len(self.map)]


class LeastConn(Balancer):
    def start(self) -> None:
        self.queue = list(range(len(self.shares)))
        self.random.shuffle(self.queue)

    def load(self, one: int) -> float:
        return (self.busy[one] + 1) / self.shares[one] if self.busy[one] else 0.0

    def choose(self, shot: Shot) -> int:
        one = min(self.queue, key=self.load)
        self.queue.remove(one)
        self.queue.append(one)
        return one


class RandomOfTwo(Balancer):
    """A ring of sixteen points for each unit of weight, cut at random: shares are not quite the weights."""

    draws = 2

    def start(self) -> None:
        self.ring = [self.random.gammavariate(16 * weight, 1) for weight in self.shares]

    def choose(self, shot: Shot) -> int:
        drawn = self.random.choices(range(len(self.shares)), self.ring, k=self.draws)
        return min(reversed(drawn), key=lambda one: self.busy[one] / self.shares[one])


class RandomOfOne(RandomOfTwo):
    draws = 1


class Source(Balancer):
    def choose(self, shot: Shot) -> int:
        return self.any_of(shot.source)


class StickTable(RoundRobin):
    """``stick on src``: new addresses in turn."""

    def start(self) -> None:
        self.known: dict[str, int] = {}
        super().start()

    def choose(self, shot: Shot) -> int:
        if shot.source not in self.known:
            self.known[shot.source] = super().choose(shot)
        return self.known[shot.source]


class Header(Balancer):
    def choose(self, shot: Shot) -> int:
        return self.any_of(shot.headers)


class Parameter(Balancer):
    def choose(self, shot: Shot) -> int:
        return self.any_of(shot.path)


class Uri(Balancer):
    def choose(self, shot: Shot) -> int:
        return self.any_of(shot.path.partition("?")[0])


class First(Balancer):
    maxconn = 1000

    def choose(self, shot: Shot) -> int:
        return next((one for one, busy in enumerate(self.busy) if busy < self.maxconn), 0)


class FirstOfOne(First):
    maxconn = 1


ALGORITHMS: dict[str, tuple[str, Callable[[tuple[int, ...], Random], Balancer]]] = {
    "roundrobin": ("roundrobin", RoundRobin),
    "static-rr": ("static-rr", StaticRoundRobin),
    "leastconn": ("leastconn", LeastConn),
    "random": ("random", RandomOfTwo),
    "random(1)": ("random", RandomOfOne),
    "source": ("source", Source),
    "stick on src": ("source", StickTable),
    "hdr(User-Agent)": ("hdr", Header),
    "url_param asked": ("url_param", Parameter),
    "uri": ("uri", Uri),
    "first": ("first", First),
    "first, maxconn 1": ("first", FirstOfOne),
}


def answers(balancer: Balancer, shots: Sequence[Shot], strangers: float = 0.0):  # type: ignore[no-untyped-def]
    """What is seen of ``balancer`` when ``shots`` are made and others ask now and then."""
    seen = []
    for shot in shots:
        if balancer.random.random() < strangers:
            balancer.choose(replace(shot, source="10.1.2.3", path="/?other"))
        one = balancer.choose(shot)
        balancer.busy[one] += shot.hold
        seen.append(NAMING.Seen(one, shot.source, shot.path, shot.hold))
    return seen
