"""``ansible.utils.ipaddr`` and its kin, as far as labs go: addresses, networks and membership.

A value is an address (``192.0.2.5``), an address in its network (``192.0.2.5/24``) or a network
(``192.0.2.0/24``). What a query does not apply to gives nothing (None) or False, as in Ansible.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass
from types import UnionType
from typing import Any

from labctl.playbook.filters.common import FilterArgumentError, shown

_Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class _Parsed:
    """``text`` as it was given; ``bare``: without a prefix length."""

    text: str
    address: _Address
    network: _Network
    bare: bool

    @property
    def size(self) -> int:
        return self.network.num_addresses

    @property
    def prefix(self) -> int:
        return self.network.prefixlen

    @property
    def with_prefix(self) -> str:
        return f"{self.address}/{self.prefix}"

    @property
    def usable(self) -> tuple[int, int]:
        """The first and the last address for hosts: all of a /31 and smaller."""
        first, last = int(self.network[0]), int(self.network[-1])
        return (first, last) if self.size <= 2 else (first + 1, last - 1)

    def at(self, number: int) -> str:
        return str(type(self.address)(number))


def _parse(value: Any, version: Any = False) -> _Parsed | None:
    if value is True or not value:
        return None
    text = str(value)
    if "/" in text:
        # behind a prefix length, and only there, Ansible bears blanks
        text = text.rstrip()
    try:
        if text.isdigit():
            number = int(text)
            kind = ipaddress.IPv6Address if version == 6 else ipaddress.ip_address
            found: Any = ipaddress.ip_interface(kind(number))
            return _Parsed(str(found), found.ip, found.network, True)
        found = ipaddress.ip_interface(text)
    except ValueError:
        return None
    return _Parsed(text, found.ip, found.network, "/" not in text)


def _network_only(answer: Callable[[_Parsed], Any]) -> Callable[[_Parsed], Any]:
    def asked(value: _Parsed) -> Any:
        if value.bare:
            raise FilterArgumentError(f"ipaddr: {value.text} is not a network address")
        return answer(value) if value.size > 1 else None

    return asked


def _neighbour(step: int) -> Callable[[_Parsed], Any]:
    def answer(value: _Parsed) -> Any:
        first, last = value.usable
        number = int(value.address) + step
        return value.at(number) if first <= number <= last else None

    return answer


def _plain(value: _Parsed) -> Any:
    return str(value.address) if value.bare else value.with_prefix


def _address(value: _Parsed) -> Any:
    """Of a network there is no address, but a /31, /32 or /128 is one."""
    is_network = value.size > 2 and value.address == value.network[0] and value.network.version == 4
    return None if is_network else str(value.address)


def _host(value: _Parsed) -> Any:
    if value.size == 1:
        return value.with_prefix
    return value.with_prefix if value.address != value.network[0] or value.size == 2 else None


def _net(value: _Parsed) -> Any:
    return str(value.network) if value.size > 1 and value.address == value.network[0] else None


def _kept_if(test: Callable[[_Parsed], bool]) -> Callable[[_Parsed], Any]:
    return lambda value: value.text if test(value) else None


def _with_family(version: int) -> Callable[[_Parsed], Any]:
    def answer(value: _Parsed) -> Any:
        if value.network.version == version:
            return value.text
        raise FilterArgumentError(f"ipaddr: {value.text} in the other family of addresses is not covered")

    return answer


_QUERIES: dict[str, Callable[[_Parsed], Any]] = {
    "": _plain,
    "address": _address,
    "ip": _address,
    "address/prefix": lambda v: (
        v.with_prefix if not (v.size > 2 and v.address in (v.network[0], v.network[-1])) else False
    ),
    "bool": lambda _v: True,
    "broadcast": lambda v: str(v.network[-1]) if v.size > 2 else None,
    "cidr": lambda v: v.with_prefix,
    "first_usable": _network_only(lambda v: v.at(v.usable[0])),
    "host": _host,
    "hostmask": lambda v: str(v.network.hostmask),
    "int": lambda v: int(v.address) if v.bare else f"{int(v.address)}/{v.prefix}",
    "ip/prefix": lambda v: (
        v.with_prefix if v.size == 2 or (v.size > 1 and v.address != v.network[0]) else None
    ),
    "ip_netmask": lambda v: (
        f"{v.address} {v.network.netmask}"
        if v.size == 2 or (v.size > 1 and v.address != v.network[0])
        else None
    ),
    "ipv4": _with_family(4),
    "ipv6": _with_family(6),
    "last_usable": _network_only(lambda v: v.at(v.usable[1])),
    "link-local": _kept_if(lambda v: v.address.is_link_local),
    "loopback": _kept_if(lambda v: v.address.is_loopback),
    "multicast": _kept_if(lambda v: v.address.is_multicast),
    "net": _net,
    "netmask": lambda v: str(v.network.netmask),
    "network": lambda v: str(v.network[0]),
    "network/prefix": lambda v: str(v.network),
    "network_netmask": lambda v: f"{v.network[0]} {v.network.netmask}",
    "network_wildcard": lambda v: f"{v.network[0]} {v.network.hostmask}",
    "next_usable": _network_only(_neighbour(1)),
    "prefix": lambda v: v.prefix,
    "previous_usable": _network_only(_neighbour(-1)),
    "private": _kept_if(lambda v: not v.address.is_global),
    "public": _kept_if(lambda v: v.address.is_global and not v.address.is_multicast),
    "range_usable": _network_only(lambda v: f"{v.at(v.usable[0])}-{v.at(v.usable[1])}"),
    "revdns": lambda v: f"{v.address.reverse_pointer}.",
    "size": lambda v: v.size,
    "size_usable": lambda v: {1: 0, 2: 2}.get(v.size, v.size - 2),
    "subnet": lambda v: str(v.network),
    "type": lambda v: "address" if v.size == 1 or v.address != v.network[0] else "network",
    "version": lambda v: v.network.version,
}
_ALIASES = {
    **dict.fromkeys(("gateway", "gw", "host/prefix", "hostnet", "router"), "address/prefix"),
    "lo": "loopback",
    "network_id": "network",
    "v4": "ipv4",
    "v6": "ipv6",
    "wildcard": "hostmask",
}


def ipaddr(value: Any, query: Any = "", version: Any = False, alias: str = "ipaddr") -> Any:
    """What ``query`` asks of an address; of a list, the answers that are something.

    ``query``: a name, a network (is the address in it?), or the number of an address in the network.
    """
    if isinstance(value, list | tuple):
        return [answer for item in value if (answer := ipaddr(item, query, version, alias))]
    parsed = _parse(value, version)
    if parsed is None or (version and parsed.network.version != version):
        return False
    name = _ALIASES.get(str(query), str(query))
    if name in _QUERIES:
        return _QUERIES[name](parsed)
    if name.lstrip("-").isdigit():
        return _numbered(parsed, int(name))
    within = _parse(query)
    if within is None:
        raise FilterArgumentError(f"{alias}: there is no query {query!r}")
    inside = within.network.version == parsed.network.version and parsed.network.subnet_of(
        within.network  # type: ignore[arg-type]
    )
    return parsed.text if inside else None


def _numbered(parsed: _Parsed, index: int) -> Any:
    if parsed.size == 1:
        return str(parsed.address) if parsed.bare else parsed.with_prefix
    try:
        return f"{parsed.network[index]}/{parsed.prefix}"
    except IndexError:
        return False


def ipsubnet(value: Any, query: Any = "", index: Any = None) -> Any:
    """How many subnets of length ``query`` a network has, or the one numbered ``index``.

    Of a single address the networks around it, of length ``query`` and longer ones.
    """
    parsed = _parse(value)
    if parsed is None:
        return False
    if query == "":
        return str(parsed.network)
    if not str(query).isdigit():
        raise FilterArgumentError(f"ipsubnet: {query!r} is no prefix length")
    length = int(query)
    if parsed.prefix == parsed.network.max_prefixlen:
        around = range(length, parsed.prefix)
        if index is None or -len(around) <= int(index) < len(around):
            return str(parsed.network.supernet(new_prefix=around[int(index or 0)]))
        raise FilterArgumentError(f"ipsubnet: there is no network number {index} around {value}")
    if index is None and length < parsed.prefix:
        raise FilterArgumentError(f"ipsubnet: {value} holds no subnet of length {length}")
    if not parsed.prefix <= length <= parsed.network.max_prefixlen:
        return False
    count = 1 << (length - parsed.prefix)
    if index is None:
        return str(count)
    number = int(index)
    number += count if number < 0 else 0
    if not 0 <= number < count:
        return False
    start = int(parsed.network[0]) + number * (1 << (parsed.network.max_prefixlen - length))
    return f"{parsed.at(start)}/{length}"


def ipwrap(value: Any, query: str = "") -> Any:
    """IPv6 addresses in brackets, as URLs want them; everything else as it is."""
    if isinstance(value, list | tuple):
        return [ipwrap(item, query) for item in value]
    parsed = _parse(value)
    if parsed is None:
        return value
    if parsed.network.version == 4:
        return _plain(parsed)
    return f"[{parsed.address}]" if parsed.bare else f"[{parsed.address}]/{parsed.prefix}"


def _takes(kinds: type | UnionType, answer: Callable[..., Any]) -> Callable[..., Any]:
    """A filter of these alone, as in Ansible: what is None or a mapping was meant to be something else."""

    def asked(value: Any, *args: Any, **options: Any) -> Any:
        if not isinstance(value, kinds):
            raise FilterArgumentError(f"an address or a list of them is wanted, not {shown(value)}")
        return answer(value, *args, **options)

    return asked


FILTERS: dict[str, Callable[..., Any]] = {
    "ipaddr": _takes(str | int | list, ipaddr),
    "ipsubnet": ipsubnet,
    "ipv4": _takes(str | int | list, lambda value, query="": ipaddr(value, query, 4, "ipv4")),
    "ipv6": _takes(str | int | list, lambda value, query="": ipaddr(value, query, 6, "ipv6")),
    "ipwrap": _takes(str | bool | list, ipwrap),
}
