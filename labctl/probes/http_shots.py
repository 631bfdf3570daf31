"""HTTP requests that differ in who asks and what for, and some of which stay open while others are answered:
what tells one balancing algorithm from another.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from labctl.agent.remote.probes import http_shots as http_shots_op
from labctl.probes.decoding import at_most, by_shape
from labctl.probes.http import Reply
from labctl.probes.request import Probe, Request


@dataclass(frozen=True)
class Shot:
    """One GET, on a connection of its own. ``source`` is the address of this machine that asks, "" for any;
    ``headers`` are (name, value). ``hold``: it stays open until all shots after it have been answered.
    """

    source: str = ""
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    hold: bool = False


@dataclass(frozen=True)
class ShotReply(Reply):
    """``cookies`` are "name=value", as the server set them. ``held``: somebody behind the port waited for the
    rest of the request, so that it was open all the time.
    """

    cookies: Annotated[tuple[str, ...], at_most(http_shots_op.MOST_COOKIES)]
    held: bool


@dataclass(frozen=True)
class ShotReplies:
    """One reply for each shot, in their order; fewer when two in a row had no answer or the time was over."""

    replies: Annotated[tuple[ShotReply, ...], at_most(http_shots_op.MOST)]
    seconds: float


HTTP_SHOTS = Probe("http_shots", ShotReplies, by_shape(ShotReplies))


def http_shots(
    address: str, port: int, shots: Sequence[Shot], *, wait: float = 5.0, body: int = 200, attempt: int = 1
) -> Request[ShotReplies]:
    """The ``shots``, one after the other, from the VM itself. Another ``attempt`` is another look.

    It is fetched alone: somebody else's request in between would take a server's turn.
    """
    args = {
        "address": address,
        "port": port,
        "wait": wait,
        "body": body,
        "attempt": attempt,
        "shots": [{**vars(one), "headers": [list(pair) for pair in one.headers]} for one in shots],
    }
    return Request(HTTP_SHOTS, args, deadline=min(90.0, 15.0 + len(shots) * 0.3), alone=True)
