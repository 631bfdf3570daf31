"""HAProxy: what it was told and says of itself, and the state of its servers as statistics."""

from __future__ import annotations

import csv
import functools
import itertools
import re
from dataclasses import dataclass, replace
from typing import Annotated

from labctl.agent.remote.probes import haproxy as wire
from labctl.probes.decoding import MAX_TEXT, at_most, decode
from labctl.probes.haproxy_config import Proxy, lines_of, parse_config
from labctl.probes.http import Replies
from labctl.probes.kept import kept
from labctl.probes.request import Json, Probe, Request, made_once

MAX_ROWS = 500


@dataclass(frozen=True)
class ServerState:
    """One row of the statistics: ``status`` is "UP", "DOWN", "UP 1/3", "no check", "MAINT" ...

    ``weight`` is -1 where the statistics do not say.
    """

    proxy: str
    name: str
    status: str
    address: str
    weight: int = -1

    @property
    def port(self) -> int:
        """0 where the statistics do not say."""
        port = self.address.rpartition(":")[2]
        return int(port) if re.fullmatch(r"[0-9]{1,5}", port) else 0

    @property
    def checked(self) -> bool:
        """A server without health checks is reported as "no check"."""
        return self.status.startswith(("UP", "DOWN", "NOLB", "MAINT", "DRAIN"))


@dataclass(frozen=True)
class Running:
    """How a backend of the HAProxy that runs balances, as its admin socket tells. ``algorithm`` is its first
    word, "" where HAProxy has none to tell (2.6 does not for random); ``cookie`` the cookie's name.
    """

    proxy: str
    algorithm: str
    cookie: str


@dataclass(frozen=True)
class Settled:
    """The servers' state when it was as awaited (``reached``), or when waiting for that was given up."""

    reached: bool
    seconds: float
    servers: tuple[ServerState, ...]


@dataclass(frozen=True)
class Haproxy:
    """``message`` is what ``haproxy -c`` printed; ``state`` and ``running`` are the rows of its admin socket,
    empty without one.
    """

    installed: bool
    files: tuple[str, ...]
    text: str
    valid: bool
    message: str
    state: tuple[ServerState, ...]
    running: tuple[Running, ...] = ()

    def proxies(self) -> tuple[Proxy, ...]:
        """What the configuration says; a server's port that cannot be read there is the running one's."""
        return self._proxies

    @functools.cached_property
    def _proxies(self) -> tuple[Proxy, ...]:
        running = {(one.proxy, one.name): one.port for one in self.state}
        return tuple(
            replace(
                proxy,
                servers=tuple(
                    one if one.port else replace(one, port=running.get((proxy.name, one.name), 0))
                    for one in proxy.servers
                ),
            )
            for proxy in parse_config(self.text)
        )

    def guards_statistics(self) -> bool:
        """Whether the configuration has the statistics page ask for a password."""
        return self._statistics[0]

    def admin_socket(self) -> str:
        """The line that names the admin socket, as the agent reads it; "" without one."""
        return self._statistics[1]

    @functools.cached_property
    def _statistics(self) -> tuple[bool, str]:
        # read once: each wave of checks asks, and a configuration may be made to take long
        lines = [words for words in lines_of(self.text) if words[0] == "stats"]
        guarded = any(words[1:2] == ["auth"] or words[1:3] == ["http-request", "auth"] for words in lines)
        sockets = (words[:3] for words in lines if words[1:2] == ["socket"] and words[2:])
        # others are of TCP, which the agent does not ask
        return guarded, next((" ".join(one) for one in sockets if one[2].startswith(("/", "unix@/"))), "")

    def balancer(self, ports: range, door: int) -> Proxy | None:
        """The backend that serves these ports on this machine: the one that requests to the port ``door`` get
        to, else one that some of them get to, else the one that serves most of them. None when none serves
        any.
        """
        # every check of the balancer asks for it
        if (ports, door) not in self._balancers:
            self._balancers[ports, door] = self._find_balancer(ports, door)
        return self._balancers[ports, door]

    @functools.cached_property
    def _balancers(self) -> dict[tuple[range, int], Proxy | None]:
        return {}

    def _find_balancer(self, ports: range, door: int) -> Proxy | None:
        proxies = self.proxies()
        doors = [one for one in proxies if door in one.binds]
        # a listen section that sends all requests to a backend uses no server of its own
        first = {one.usual_backend or (one.name if one.kind == "listen" else "") for one in doors}
        perhaps = {name for one in doors for name in one.uses}
        found = max(
            (one for one in proxies if any(server.port in ports for server in one.servers)),
            key=lambda one: (
                one.kind != "frontend" and one.name in first,
                one.name in perhaps,
                len({server.port for server in one.servers if server.port in ports}),
            ),
            default=None,
        )
        if found is None or found.balance:
            return found
        # left out, it is what this HAProxy takes for that: since 3.3 no longer roundrobin
        running = {one.proxy: one.algorithm for one in self.running}
        return replace(found, balance=running.get(found.name, ""))


@dataclass(frozen=True)
class Candidate:
    """What ``haproxy -c`` says of a configuration that is not in use."""

    installed: bool
    valid: bool
    message: str


@dataclass(frozen=True)
class _Told:
    installed: bool
    files: Annotated[tuple[str, ...], at_most(8)]
    text: Annotated[str, at_most(wire.TEXT_CAP)]
    valid: bool
    message: str
    state: Annotated[str, at_most(2 * wire.TEXT_CAP)]


def interpret(data: Json) -> Haproxy:
    told = decode(_Told, data)
    return Haproxy(
        installed=told.installed,
        files=told.files,
        text=told.text,
        valid=told.valid,
        message=told.message,
        state=parse_state(told.state),
        running=parse_running(told.state),
    )


# Every check of the servers' state asks it of the same page, while those of other VMs are judged.
@kept(most=128, small=65536)
def parse_state(text: str) -> tuple[ServerState, ...]:
    """The servers in HAProxy's CSV; nothing when the text is no such thing."""
    return tuple(
        ServerState(
            row["pxname"], row["svname"], row.get("status") or "", row.get("addr") or "", _weight(row)
        )
        for row in _rows(text, "2")
    )


def parse_running(text: str) -> tuple[Running, ...]:
    """How the backends in HAProxy's CSV balance; nothing where it does not say."""
    return tuple(
        Running(
            row["pxname"],
            word if (word := row.get("algo") or "") != "unknown" else "",
            row.get("cookie") or "",
        )
        for row in _rows(text, "1")
        if row.get("algo")
    )


#: Lines of its CSV that are read, and columns that count.
_MOST_LINES = 20_000
_COLUMNS = frozenset({"pxname", "svname", "type", "status", "addr", "weight", "algo", "cookie"})


def _rows(text: str, kind: str) -> list[dict[str, str]]:
    """The rows of one type, 1 for backends and 2 for servers."""
    if not text.startswith("# pxname,svname,"):
        return []
    try:
        header, *lines = itertools.islice(csv.reader(text[2:MAX_TEXT].splitlines(), strict=True), _MOST_LINES)
    except csv.Error:
        return []
    # of its hundred columns these, each once: whoever writes the header may say one ten thousand times
    wanted = {name: at for at, name in enumerate(header) if name in _COLUMNS}
    rows = ({name: line[at] for name, at in wanted.items() if at < len(line)} for line in lines)
    found = (one for one in rows if one.get("type") == kind and one["pxname"] and one.get("svname"))
    return list(itertools.islice(found, MAX_ROWS))


def _weight(row: dict[str, str]) -> int:
    told = row.get("weight") or ""
    return int(told) if re.fullmatch(r"[0-9]{1,3}", told) else -1


def servers_in(replies: Replies) -> tuple[ServerState, ...]:
    """The servers in a reply of the statistics page with ``;csv`` at its end."""
    return (
        parse_state(replies.replies[0].body) if replies.replies and replies.replies[0].status == 200 else ()
    )


HAPROXY = Probe("haproxy", Haproxy, interpret)


@made_once
def config_check() -> Request[Haproxy]:
    """HAProxy's configuration, what ``haproxy -c`` says of it, and its servers' state from the admin
    socket.
    """
    return Request(HAPROXY, {}, deadline=60.0)


CANDIDATE = Probe("candidate", Candidate, lambda data: decode(Candidate, data))


def candidate_check(text: str) -> Request[Candidate]:
    """Whether the VM's HAProxy would accept ``text`` as its whole configuration; the one in use stays."""
    return Request(CANDIDATE, {"text": text}, deadline=60.0)
