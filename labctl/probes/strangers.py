"""Whom of the world a DNS server resolves names for, by its configuration."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


def strangers(found: Configuration, at: Sequence[str]) -> Strangers:
    """Whom a machine with the addresses ``at`` resolves names for.

    What a configuration says can only change where one of the networks that it names begins or ends: between
    two such places one address tells of all.
    """
    own = [number for number in map(number_of, at) if number is not None and number >> 24 != 127]
    # where it plays no part at which address a server is asked, one will do
    del own[MOST_ADDRESSES if found.minds_where else 0 :]
    named = sorted(set(found.networks()), key=lambda one: one[0] - one[1])
    # who has an address of one kind asks at one of that kind
    asked = {old: [one for one in own if (one < _V6) == old] or own or _ANY for old in (True, False)}
    # any network of IPv6 is wider than all of IPv4
    kinds = ([one for one in named if (one[0] < _V6) == old] for old in (True, False))
    networks = [one for kind in kinds for one in kind[:MOST_NETWORKS]]
    edges = {first for first, _ in networks} | {last + 1 for _, last in networks}
    pieces = _pieces(edges)
    let_in = [
        (last - first, first, world)
        for first, last, world in pieces
        if any(found.resolves((first + last) // 2, here) for here in asked[first < _V6])
    ]
    wide = [
        kind
        for kind, enough in (
            ([one for one in let_in if one[2] and one[1] < _V6], WORLD),
            ([one for one in let_in if one[2] and one[1] >= _V6], WORLD_6),
        )
        if sum(size + 1 for size, _, _ in kind) >= enough
    ]
    size, first, _ = max(wide[0]) if wide else (0, 0, False)
    return Strangers(
        example=address_of(first + (size + 1) // 2) if wide else "",
        everybody=len(let_in) == len(pieces),
    )


def _pieces(edges: Iterable[int]) -> list[tuple[int, int, bool]]:
    """First and last number of each piece of both kinds of addresses, and whether it is of the world."""
    inner = sorted({*edges, *_EDGES})
    return [
        (first, after - 1, any(low <= first <= high for low, high in _WORLD))
        for first, after in itertools.pairwise(inner)
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
