"""The balancing experiment: requests made so that each algorithm would answer them in its own way.

From one address, from several, asking for several things, and while others are held open: only the last
tells leastconn from roundrobin, because the workers answer at once and nobody is ever busy otherwise.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from labctl.probes import Proxy, Request, Shot, ShotReplies, http_shots

from .facts import FRONTEND, WORKERS, worker_id
from .naming import ROUND, Named, Seen, name

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
#: Below so many answers nothing is said.
ENOUGH = PLAIN


@dataclass(frozen=True)
class Found:
    """``errors`` are the answers that were no worker's greeting, ``cookies`` what the servers had set, by
    id.
    """

    named: Named
    ids: tuple[int, ...]
    errors: tuple[str, ...]
    cookies: dict[int, str]


def serving(backend: Proxy | None, up: Sequence[int]) -> dict[int, int]:
    """The workers that are up (by port) and may have a turn: id to weight in lowest terms, in the order of
    the configuration.
    """
    servers = backend.servers if backend else ()
    found = {one.port - WORKERS.start: one.weight for one in servers if one.weight and one.port in up}
    common = math.gcd(*found.values())
    return {one: weight // common for one, weight in found.items()}


def plan(balance: str, weights: Mapping[int, int]) -> tuple[Shot, ...]:
    """The shots for servers with these weights, by id, enough to see those; with what ``balance`` looks at."""
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


def _looked_at(balance: str) -> tuple[str, str]:
    """The header and the parameter by which the configuration chooses; others where it does not."""
    header = re.match(r"(?:hash\s+req\.)?hdr\(([A-Za-z0-9-]+)", balance)
    parameter = re.match(r"url_param\s+([A-Za-z0-9_.-]+)", balance)
    return header[1] if header else "X-Asked", parameter[1] if parameter else "asked"


def trial(balance: str, weights: Mapping[int, int], attempt: int = 1) -> Request[ShotReplies]:
    return http_shots("127.0.0.1", FRONTEND, plan(balance, weights), attempt=attempt)


def found_by(balance: str, weights: Mapping[int, int], replies: ShotReplies) -> Found:
    """What the replies to :func:`plan`'s shots show."""
    seen: list[Seen] = []
    errors: list[str] = []
    cookies: dict[int, str] = {}
    for shot, reply in zip(plan(balance, weights), replies.replies, strict=False):
        number = worker_id(reply.body) if reply.status == 200 else None
        if number is None:
            errors.append(str(reply))
            continue
        seen.append(Seen(number, shot.source, shot.path, reply.held))
        if reply.cookies:
            cookies.setdefault(number, "; ".join(reply.cookies))
    named = name(seen, weights, max(ROUND, sum(weights.values())))
    return Found(named, tuple(one.server for one in seen), tuple(errors), cookies)


def returning(cookies: dict[int, str]) -> tuple[tuple[Shot, int], ...]:
    """Shots that send back the cookies of two servers, each with the id that must answer."""
    two = list(cookies.items())[:2]
    return tuple(
        (Shot(headers=(("Cookie", two[at % len(two)][1]),)), two[at % len(two)][0]) for at in RETURNS
    )
