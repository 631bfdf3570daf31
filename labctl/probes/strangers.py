"""Whom of the world a DNS server resolves names for, by its configuration."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from labctl.agent.remote.probes.access import Configuration, address_of, network_of, number_of

#: Addresses that are nobody's on the Internet (IANA's registries of special-purpose addresses), of IPv4.
PRIVATE = (
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "224.0.0.0/3",
)
#: All that is given out of IPv6.
GIVEN_OUT = "2000::/3"
#: So many addresses of others, and it is for the world: two of IPv4's /8, of which a campus has one at most,
#: and two of IPv6's /19, of which a provider has.
WORLD, WORLD_6 = 2 * 2**24, 2 * 2**109
#: The widest networks of each kind in a configuration that are looked at one by one; another one that it
#: names is too small to matter, or one of more than any configuration has.
MOST_NETWORKS = 40
#: The machine's addresses that are looked at: each makes all of it as long again.
MOST_ADDRESSES = 16


@dataclass(frozen=True)
class Strangers:
    """``example`` is an address of the world that names are resolved for, "" when they are for (nearly) none
    of it; ``everybody``: for each address there is, as far as the configuration goes.
    """

    example: str
    everybody: bool


class _Piece(NamedTuple):
    """Neighbouring addresses of one kind (IPv4 or IPv6) that a configuration treats alike, as the numbers of
    the first and the last one. ``of_world``: they are somebody's on the Internet.
    """

    first: int
    last: int
    of_world: bool

    @property
    def size(self) -> int:
        return self.last - self.first + 1

    @property
    def is_v6(self) -> bool:
        return self.first >= _V6


def strangers(found: Configuration, at: Sequence[str]) -> Strangers:
    """Whom a machine with the addresses ``at`` resolves names for.

    What a configuration says can only change where one of the networks that it names begins or ends: between
    two such places one address tells of all.
    """
    servers = {is_v6: _asked_at(found, at, is_v6=is_v6) for is_v6 in (False, True)}
    pieces = _pieces(found)
    let_in = [
        piece
        for piece in pieces
        if any(found.resolves((piece.first + piece.last) // 2, server) for server in servers[piece.is_v6])
    ]
    example = ""
    for is_v6, enough in ((False, WORLD), (True, WORLD_6)):
        world = [piece for piece in let_in if piece.of_world and piece.is_v6 == is_v6]
        if not example and sum(piece.size for piece in world) >= enough:
            widest = max(world, key=lambda piece: (piece.size, piece.first))
            example = address_of(widest.first + widest.size // 2)
    return Strangers(example=example, everybody=len(let_in) == len(pieces))


def _asked_at(found: Configuration, at: Sequence[str], *, is_v6: bool) -> Sequence[int]:
    """The numbers of the machine's addresses at which clients of one kind are tried; one at least."""
    if not found.minds_where:
        return _ANY
    own = [number for number in map(number_of, at) if number is not None and number >> 24 != 127]
    own = own[:MOST_ADDRESSES]
    # who has an address of one kind asks at one of that kind, where there is any
    return [number for number in own if (number >= _V6) == is_v6] or own or _ANY


def _pieces(found: Configuration) -> list[_Piece]:
    """All addresses there are, in pieces that end wherever a network that the configuration names does."""
    widest_first = sorted(set(found.networks()), key=lambda network: network[0] - network[1])
    named = []
    for is_v6 in (False, True):  # each for itself: any network of IPv6 is wider than all of IPv4
        named += [network for network in widest_first if (network[0] >= _V6) == is_v6][:MOST_NETWORKS]
    edges = {edge for first, last in named for edge in (first, last + 1)}
    return [
        _Piece(first, after - 1, any(low <= first <= high for low, high in _WORLD))
        for first, after in itertools.pairwise(sorted(edges | _EDGES))
        if not _NO_ADDRESS <= first < _V6
    ]


def _network(text: str) -> tuple[int, int]:
    found = network_of(text)
    assert found is not None
    return found


_EVERY_4, _EVERY_6 = _network("0.0.0.0/0"), _network("::/0")
_NO_ADDRESS, _V6 = _EVERY_4[1] + 1, _EVERY_6[0]
#: An address of the machine where it plays no part, or it told none.
_ANY = (_network("192.0.2.1")[0],)
_PRIVATE = [_network(one) for one in PRIVATE]
_WORLD = [
    *((before[1] + 1, after[0] - 1) for before, after in itertools.pairwise(_PRIVATE)),
    _network(GIVEN_OUT),
]
_EDGES = {edge for first, last in (_EVERY_4, _EVERY_6, *_PRIVATE, *_WORLD) for edge in (first, last + 1)}
