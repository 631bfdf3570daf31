"""The balancing experiment: requests made so that each algorithm would answer them in its own way.

From one address, from several, asking for several things, and while others are held open: only the last
tells leastconn from roundrobin, because the workers answer at once and nobody is ever busy otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from labctl.grading import See, Target
from labctl.probes import Proxy, Replies, Request, Shot, ShotReplies, config_check, http_shots

from .facts import FRONTEND, WORKERS, worker_id
from .looking import greeted, late_sample, sample, weighted
from .naming import IN_TURN, ROUND, Named, Seen, name

#: Requests from one address, and the most where weights make a round long.
PLAIN, MOST = 24, 160
#: Addresses that ask, twice each; any of 127.0.0.0/8 is the VM's own. Their last bytes are neither in a row
#: nor all of one remainder: source hashes are often only that.
SOURCES = tuple(f"127.0.0.{last}" for last in (17, 44, 93, 122, 151, 200, 231, 250))
#: Different things to ask for.
ASKED = tuple(f"asked-{one}" for one in "abcdefghijkl")
#: Requests while others are held open.
MEANWHILE = 12
#: A cookie is sent back so often, of the first server or of the second: in no order that goes round.
RETURNS = (0, 0, 1, 0, 1, 1, 1, 0, 0, 1, 1, 0)
#: Of a cookie so much is sent back; the agent tells no more of it.
LONGEST = 200
#: Below so many answers nothing is said.
ENOUGH = PLAIN
#: Words of ``balance`` that a name can be held against.
NAMEABLE = frozenset(
    {"roundrobin", "static-rr", "leastconn", "random", "source", "hdr", "url_param", "hash", "uri", "first"}
)


@dataclass(frozen=True)
class Found:
    """``errors`` are the answers that were no worker's greeting, ``cookies`` what the servers had set, by
    id.
    """

    named: Named
    ids: tuple[int, ...]
    errors: tuple[str, ...]
    cookies: dict[int, str]

    def fits(self, backend: Proxy) -> bool:
        """What was seen is what the configuration says, as far as it shows."""
        by_source = "source" in self.named.names and " src" in f" {backend.sticks}"
        return by_source or self.named.fits(backend.algorithm)

    def has_weights(self, weights: Mapping[int, int]) -> bool:
        """No other weights show than these."""
        return not self.named.weights or self.named.weights == weights

    def __str__(self) -> str:
        return f"{self.named} (chance of another: {self.named.chance:.0e})"


def is_plain(backend: Proxy | None) -> bool:
    """What the lab's main part asks for: each worker in turn, all alike, no client tied to one."""
    if backend is None:
        return True
    tied = backend.cookie or backend.sticks
    return backend.algorithm in ("roundrobin", "static-rr") and not weighted(backend) and not tied


def observed(vm: Target, see: See, backend: Proxy, up: Sequence[int]) -> Found:
    """What the balancer does: by the experiment, or, for what the main part asks for, by what one client
    sees; by more of that where chance is not ruled out.
    """
    if not is_plain(backend):
        return look(see, backend, up)[1]
    turns = serving(backend, up)
    replies, _ = sample(vm, see)
    first = in_plain(replies, turns)
    if set(first.named.names) <= IN_TURN:
        return first
    later = late_sample(vm, see, backend)
    return in_plain(later, turns) if later else first


def in_plain(replies: Replies, weights: Mapping[int, int]) -> Found:
    """What the answers to one client show, where a round has one turn for each server."""
    ids, errors = greeted(replies)
    return Found(_named(ids, tuple(weights.items())), ids, errors, {})


@lru_cache(maxsize=64)
def _named(ids: tuple[int, ...], weights: tuple[tuple[int, int], ...]) -> Named:
    # several checks, in every wave, ask of the same sample
    return name([Seen(one) for one in ids], dict(weights), longest=len(weights))


def look(see: See, backend: Proxy, up: Sequence[int]) -> tuple[Found, Found]:
    """The experiment; and again where it does not show what is configured, else the same twice.

    Somebody else's requests may have disturbed the first.
    """
    weights = serving(backend, up)
    # whoever answers for a server that has not been chosen yet makes nobody busy
    opened = not any(one.buffers for one in see(config_check()).proxies())
    first = found_by(backend.balance, weights, see(trial(backend.balance, weights)), opened)
    if first.fits(backend) and first.has_weights(weights):
        return first, first
    again = trial(backend.balance, weights, attempt=2)
    return first, found_by(backend.balance, weights, see(again), opened)


def serving(backend: Proxy | None, up: Sequence[int]) -> dict[int, int]:
    """The workers that are up (by port) and may have a turn: id to weight in lowest terms, in the order of
    the configuration.
    """
    servers = backend.servers if backend else ()
    found = {one.port - WORKERS.start: one.weight for one in servers if one.weight and one.port in up}
    common = math.gcd(*found.values())
    return {one: weight // common for one, weight in found.items()}


def plan(balance: str, weights: Mapping[int, int]) -> tuple[Shot, ...]:
    """The shots for servers with these weights, by id; with what ``balance`` looks at."""
    uneven = len(set(weights.values())) > 1
    header, parameter = _looked_at(balance)

    def asking(what: str, hold: bool = False, source: str = "127.0.0.1") -> Shot:
        headers = tuple({"User-Agent": f"labctl {what}", header: what}.items())
        return Shot(source, f"/?{parameter}={what}", headers, hold)

    usual = ASKED[0]
    return (
        *[asking(usual)] * max(PLAIN, min(MOST, 3 * sum(weights.values()) * uneven)),
        *[asking(usual, source=one) for one in (*SOURCES, *reversed(SOURCES))],
        *[asking(one) for one in ASKED],
        *[asking(usual, hold=True)] * (len(weights) - 1),
        *[asking(usual)] * MEANWHILE,
    )


# a name goes into each of some hundred requests: a longer one than anybody gives is as good as none
_HEADER = re.compile(r"(?:hash\s+req\.)?hdr\(([A-Za-z0-9-]{1,64})(?![A-Za-z0-9-])")
_PARAMETER = re.compile(r"url_param\s+([A-Za-z0-9_.-]{1,64})(?![A-Za-z0-9_.-])")


def _looked_at(balance: str) -> tuple[str, str]:
    """The header and the parameter by which the configuration chooses; others where it does not."""
    header, parameter = _HEADER.match(balance), _PARAMETER.match(balance)
    return header[1] if header else "X-Asked", parameter[1] if parameter else "asked"


def trial(balance: str, weights: Mapping[int, int], attempt: int = 1) -> Request[ShotReplies]:
    return _trial(balance, tuple(weights.items()), attempt)


# Every check of the order asks for it in every round, and its key is long.
@lru_cache(maxsize=32)
def _trial(balance: str, weights: tuple[tuple[int, int], ...], attempt: int) -> Request[ShotReplies]:
    return http_shots("127.0.0.1", FRONTEND, plan(balance, dict(weights)), attempt=attempt)


def found_by(balance: str, weights: Mapping[int, int], replies: ShotReplies, opened: bool = True) -> Found:
    """What the replies to :func:`plan`'s shots show. ``opened``: a held request is open at its server."""
    seen: list[Seen] = []
    errors: list[str] = []
    cookies: dict[int, str] = {}
    for shot, reply in zip(plan(balance, weights), replies.replies, strict=False):
        number = worker_id(reply.body) if reply.status == 200 else None
        if number is None:
            errors.append(str(reply))
            continue
        seen.append(Seen(number, shot.source, shot.path, opened and reply.held))
        if reply.cookies:
            cookies.setdefault(number, "; ".join(one[:LONGEST] for one in reply.cookies))
    named = name(seen, weights, max(ROUND, sum(weights.values())))
    return Found(named, tuple(one.server for one in seen), tuple(errors), cookies)


def returning(cookies: dict[int, str]) -> tuple[tuple[Shot, int], ...]:
    """Shots that send back the cookies of two servers, each with the id that must answer."""
    two = list(cookies.items())[:2]
    return tuple(
        (Shot(headers=(("Cookie", two[at % len(two)][1]),)), two[at % len(two)][0]) for at in RETURNS
    )
