"""HTTP, from the VM itself and from outside; every request on a connection of its own.

From outside it is the agent's own GET that asks, so that both say the same of the same server. It keeps no
connection, no cookie and no redirect, which any client library does unless it is kept from it, and its one
deadline also ends a server that drips.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Annotated

from labctl.agent.remote.outcome import Context
from labctl.agent.remote.probes import http
from labctl.probes.decoding import at_most, by_shape
from labctl.probes.request import Json, Probe, Request, Vantage, made_once


@dataclass(frozen=True)
class Reply:
    """``status`` 0 means that no HTTP answer came; ``error`` then is refused, timeout, reset, not-http,
    unreachable.
    """

    status: int
    body: str
    error: str

    def __str__(self) -> str:
        first = self.body.strip().splitlines()[:1]
        return f"{self.status} {first[0][:60] if first else ''}".strip() if self.status else self.error


@dataclass(frozen=True)
class Replies:
    """The replies in the order of the requests, which were made one after the other."""

    replies: Annotated[tuple[Reply, ...], at_most(http.MOST)]
    seconds: float

    @property
    def answered(self) -> bool:
        return any(reply.status for reply in self.replies)

    @property
    def trouble(self) -> str:
        """Why nobody answered: the first error; "" when somebody did."""
        return "" if self.answered else (self.replies[0].error if self.replies else "timeout")


@made_once
def http_sample(
    address: str,
    port: int,
    path: str = "/",
    count: int = 1,
    *,
    vantage: Vantage = "vm",
    wait: float = 5.0,
    body: int = 200,
    attempt: int = 1,
) -> Request[Replies]:
    """``count`` GETs, one after the other. ``wait`` is seconds for one, ``body`` how many bytes of each are
    kept.

    ``attempt`` makes a request for the same thing a new one: a second look when the first was disturbed.
    """
    args = {
        "address": address,
        "port": port,
        "path": path,
        "count": count,
        "wait": wait,
        "body": min(body, http.BODY_CAP),
        "attempt": attempt,
    }
    return Request(HTTP, args, vantage=vantage, deadline=min(90.0, 15.0 + wait * 3 + count))


def sample_outside(args: Json, seconds: float) -> Replies:
    """GETs from the grader's machine, one after the other; given up after two in a row without an answer, or
    when the time is over.
    """
    return _interpret(http.run(dict(args), Context(time.monotonic() + seconds)))


_interpret = by_shape(Replies)
HTTP = Probe("http", Replies, _interpret, outside=sample_outside)
