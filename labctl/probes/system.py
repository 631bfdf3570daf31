"""Packages, units, sockets, the firewall, files and addresses of a VM."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

from labctl.probes.decoding import at_most, by_shape
from labctl.probes.request import Probe, Request, Vantage, made_once


@dataclass(frozen=True)
class Package:
    """``status`` is dpkg's word: "installed", "config-files" (removed, not purged), "absent" ..."""

    name: str
    status: str
    version: str


@dataclass(frozen=True)
class Packages:
    packages: tuple[Package, ...]

    def installed(self, name: str) -> bool:
        return any(one.name == name and one.status == "installed" for one in self.packages)


@dataclass(frozen=True)
class Unit:
    """What ``systemctl show`` says; ``name`` as asked, ``id`` its real name (an alias shows here).

    ``processes`` is how many the kernel knows in the unit's control group, -1 where that was not looked at.
    """

    name: str
    id: str
    load: str
    active: str
    sub: str
    enabled: str
    main_pid: int
    result: str
    processes: int = -1

    @property
    def is_active(self) -> bool:
        return self.active in ("active", "reloading")

    @property
    def is_running(self) -> bool:
        """Active, and with processes: of a service that stays."""
        return self.is_active and self.processes != 0

    @property
    def starts_at_boot(self) -> bool:
        """Also an alias or a unit that another one always pulls in; not "enabled-runtime", which a boot
        forgets.
        """
        return self.enabled in ("enabled", "alias", "linked", "static", "generated")


@dataclass(frozen=True)
class Units:
    """``systemd`` is false where systemctl does not work at all."""

    systemd: bool
    units: Annotated[tuple[Unit, ...], at_most(100)]

    def best(self) -> Unit | None:
        """Of several names of one service the unit that exists, an active one first."""
        there = [unit for unit in self.units if unit.load == "loaded"]
        return next((unit for unit in there if unit.is_active), there[0] if there else None)


@dataclass(frozen=True)
class Socket:
    """``proto`` is "tcp" or "udp"; ``pid`` 0 when no process was found that holds it.

    ``unit`` is the process's systemd unit, ``service`` what /etc/services calls the port.
    """

    proto: str
    address: str
    port: int
    pid: int
    process: str
    unit: str = ""
    service: str = ""

    @property
    def loopback(self) -> bool:
        """Whether only the VM itself can reach it, whatever its firewall says."""
        return self.address.startswith("127.") or self.address == "::1"


@dataclass(frozen=True)
class Sockets:
    listening: Annotated[tuple[Socket, ...], at_most(500)]

    def holders(self, port: int) -> tuple[str, ...]:
        """The names of the processes on a port, sorted."""
        return tuple(sorted({one.process or "?" for one in self.listening if one.port == port}))


@dataclass(frozen=True)
class _Rule:
    """A line of ``ufw status``: where to, whether that is of IPv6, what happens, where from."""

    to: str
    six: bool
    action: str
    source: str


_ACTIONS = frozenset({"ALLOW", "DENY", "REJECT", "LIMIT"})


def _rule(line: str) -> _Rule | None:
    """By its words: a pattern goes back and forth over long blanks. None for a line that is no rule."""
    words = line.split()
    at = next((at for at, word in enumerate(words) if at and word in _ACTIONS), 0)
    source = words[at + 1 :]
    if source[:1] == ["IN"] and source[1:]:
        del source[0]
    if not at or not source or line[:1].isspace():
        return None
    six = at > 1 and words[at - 1] == "(v6)"
    return _Rule(" ".join(words[: at - six]), six, words[at], " ".join(source))


#: The profiles of applications that Debian's packages bring, and that labs meet.
_PROFILES = {"OpenSSH": "22/tcp", "Bind9": "53", "WWW": "80/tcp", "WWW Full": "80,443/tcp", "DNS": "53"}


def _names(target: str, listening: Socket) -> bool:
    """Whether a rule's target is about the socket's port."""
    ports, _, proto = _PROFILES.get(target, target).partition("/")
    if ports == "Anywhere":
        return True
    if proto and proto != listening.proto:
        return False
    for part in ports.split(",", _MOST_PORTS)[:_MOST_PORTS]:
        first, _, last = part.partition(":")
        known = _PORT.fullmatch(first) and _PORT.fullmatch(last or first)
        if known and int(first) <= listening.port <= int(last or first):
            return True
    return False


_PORT = re.compile("[0-9]{1,5}")
#: ufw takes no more in one rule.
_MOST_PORTS = 15
#: Rule targets that are understood: ports, ranges of them, and a protocol.
_PORTS = re.compile(r"(?:Anywhere|\d+(?::\d+)?(?:,\d+(?::\d+)?)*)(?:/(?:tcp|udp))?")


def _understood(target: str) -> bool:
    return _PORTS.fullmatch(_PROFILES.get(target, target)) is not None


@dataclass(frozen=True)
class Firewall:
    """ufw: ``rules`` are the lines of its status that allow, deny or limit."""

    installed: bool
    active: bool
    rules: Annotated[tuple[str, ...], at_most(200)]

    def reach(self, listening: Socket) -> str:
        """Who can connect: "loopback", "everywhere", "allowed by ufw", "some addresses" or "closed by ufw".

        The first rule that is about the port decides, as in ufw. Rules for routed traffic do not count.
        """
        if listening.loopback:
            return "loopback"
        if not self.active:
            return "everywhere"
        family6 = ":" in listening.address
        some = False
        for rule in self._read:
            if rule.six != family6 or not _names(rule.to, listening):
                continue
            if rule.source.startswith("Anywhere"):
                return "closed by ufw" if rule.action in ("DENY", "REJECT") else "allowed by ufw"
            some = some or rule.action in ("ALLOW", "LIMIT")
        return "some addresses" if some else "closed by ufw"

    @cached_property
    def _read(self) -> tuple[_Rule, ...]:
        return tuple(filter(None, map(_rule, self.rules)))

    def keeps_out(self, listening: Socket) -> bool:
        """Its rules do not let everybody in, and none that lets somebody in is beyond :meth:`reach`: about an
        interface, or an application that is not known here.
        """
        unclear = any(one.action in ("ALLOW", "LIMIT") and not _understood(one.to) for one in self._read)
        return self.reach(listening) in ("closed by ufw", "some addresses") and not unclear


@dataclass(frozen=True)
class File:
    """``error`` is an errno name when the file is there and cannot be read."""

    exists: bool
    text: str
    truncated: bool
    error: str


@dataclass(frozen=True)
class Directory:
    """``entries`` are names, sorted."""

    exists: bool
    entries: Annotated[tuple[str, ...], at_most(500)]
    error: str


@dataclass(frozen=True)
class Addresses:
    """The VM's own names, and its addresses without loopback."""

    hostname: str
    fqdn: str
    addresses: Annotated[tuple[str, ...], at_most(64)]


@dataclass(frozen=True)
class Resolvers:
    """Addresses of DNS servers: those in /etc/resolv.conf, which programs ask, and those that
    systemd-resolved asks for them. ``link`` is the file that resolv.conf is a link to.
    """

    configured: Annotated[tuple[str, ...], at_most(20)]
    behind: Annotated[tuple[str, ...], at_most(20)]
    link: str


PACKAGES = Probe("packages", Packages, by_shape(Packages))
UNITS = Probe("units", Units, by_shape(Units))
SOCKETS = Probe("sockets", Sockets, by_shape(Sockets))
FIREWALL = Probe("firewall", Firewall, by_shape(Firewall))
FILE = Probe("file", File, by_shape(File))
DIRECTORY = Probe("directory", Directory, by_shape(Directory))
ADDRESSES = Probe("addresses", Addresses, by_shape(Addresses))
RESOLVERS = Probe("resolvers", Resolvers, by_shape(Resolvers))


@made_once
def packages(*names: str) -> Request[Packages]:
    """Which of these Debian packages are installed."""
    return Request(PACKAGES, {"names": sorted(names)})


@made_once
def unit(*names: str) -> Request[Units]:
    """The state of one service, under any of its names: ``unit("named", "bind9").best()``."""
    full = [name if "." in name else f"{name}.service" for name in names]
    return Request(UNITS, {"names": full})


@made_once
def sockets() -> Request[Sockets]:
    """Every listening socket of the VM, with the process that holds it."""
    return Request(SOCKETS, {"ports": []})


@made_once
def ufw_status() -> Request[Firewall]:
    """Whether ufw is on, and its rules. They explain what is seen from outside, which is what counts."""
    return Request(FIREWALL, {})


@made_once
def file_read(path: str, cap: int = 65536) -> Request[File]:
    """The beginning of a file, at most ``cap`` bytes."""
    return Request(FILE, {"path": path, "cap": cap})


@made_once
def directory(path: str, *, on: Vantage = "vm", attempt: int = 1) -> Request[Directory]:
    """The names in a directory, on the VM or on the staff's server."""
    return Request(DIRECTORY, {"path": path, "attempt": attempt}, vantage=on)


@made_once
def addresses() -> Request[Addresses]:
    """The VM's own names and addresses."""
    return Request(ADDRESSES, {})


@made_once
def resolvers() -> Request[Resolvers]:
    """The DNS servers that the VM's own programs ask."""
    return Request(RESOLVERS, {})
