"""HAProxy: its configuration on disk, and the state of its servers as statistics."""

from __future__ import annotations

import csv
import functools
import re
import shlex
from dataclasses import dataclass, replace

from labctl.probes.decoding import decode
from labctl.probes.http import Replies
from labctl.probes.request import Json, Probe, Request

MAX_ROWS = 500
#: HAProxy's own defaults, in seconds and counts (its manual, 5.2: inter, fall, rise).
INTER, FALL, RISE = 2.0, 3, 2


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
class Server:
    """One server of a backend as configured; ``inter`` is seconds between two health checks."""

    name: str
    host: str
    port: int
    check: bool
    inter: float
    fall: int
    rise: int
    weight: int


@dataclass(frozen=True)
class Proxy:
    """A frontend, backend or listen section. ``balance`` has the arguments too, and is "" when it is left
    out, "roundrobin" then being meant. ``uses`` are the backends of ``use_backend``. ``cookie`` is the name
    of the one that HAProxy sets, ``sticks`` what a stick table goes by. ``buffers``: it waits for the whole
    of a request before it chooses a server.
    """

    kind: str
    name: str
    mode: str
    balance: str
    binds: tuple[int, ...]
    default_backend: str
    servers: tuple[Server, ...]
    uses: tuple[str, ...] = ()
    cookie: str = ""
    sticks: str = ""
    buffers: bool = False

    @property
    def algorithm(self) -> str:
        """The word alone: "hdr" for ``balance hdr(User-Agent)``."""
        return self.balance.split("(")[0].split(" ")[0] or "roundrobin"


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
        return parse_config(self.text)

    def balancer(self, ports: range, door: int) -> Proxy | None:
        """The backend that serves these ports on this machine: the one that requests to the port ``door`` get
        to, else the one that serves most of them. None when none serves any.
        """
        proxies = self.proxies()
        doors = [one for one in proxies if door in one.binds]
        first = {one.default_backend for one in doors} | {one.name for one in doors if one.kind == "listen"}
        perhaps = {name for one in doors for name in one.uses}
        return max(
            (one for one in proxies if any(server.port in ports for server in one.servers)),
            key=lambda one: (
                one.kind != "frontend" and one.name in first,
                one.name in perhaps,
                len({server.port for server in one.servers if server.port in ports}),
            ),
            default=None,
        )


@dataclass(frozen=True)
class Candidate:
    """What ``haproxy -c`` says of a configuration that is not in use."""

    installed: bool
    valid: bool
    message: str


@dataclass(frozen=True)
class _Told:
    installed: bool
    files: tuple[str, ...]
    text: str
    valid: bool
    message: str
    state: str


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
@functools.lru_cache(maxsize=128)
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


def _rows(text: str, kind: str) -> list[dict[str, str]]:
    """The rows of one type, 1 for backends and 2 for servers."""
    if not text.startswith("# pxname,svname,"):
        return []
    try:
        header, *lines = csv.reader(text[2:].splitlines(), strict=True)
    except csv.Error:
        return []
    rows = [dict(zip(header, line, strict=False)) for line in lines]
    return [one for one in rows if one.get("type") == kind and one["pxname"] and one.get("svname")][:MAX_ROWS]


def _weight(row: dict[str, str]) -> int:
    told = row.get("weight") or ""
    return int(told) if re.fullmatch(r"[0-9]{1,3}", told) else -1


def servers_in(replies: Replies) -> tuple[ServerState, ...]:
    """The servers in a reply of the statistics page with ``;csv`` at its end."""
    return (
        parse_state(replies.replies[0].body) if replies.replies and replies.replies[0].status == 200 else ()
    )


@dataclass(frozen=True)
class Section:
    """A section as it is written: its header with single blanks ("" for lines before the first one), and the
    lines below it without comments and empty ones.
    """

    header: str
    lines: tuple[str, ...]

    @property
    def normal(self) -> tuple[str, ...]:
        """The lines with single blanks and without quotation marks: for comparing."""
        return tuple(" ".join(_words(line)) for line in self.lines)


def sections_of(text: str) -> tuple[Section, ...]:
    """A configuration as its sections, in order."""
    found: list[Section] = []
    for raw in text.splitlines():
        words = _words(raw)
        if words and words[0] in _SECTIONS:
            found.append(Section(" ".join(words), ()))
        elif words:
            last = found.pop() if found else Section("", ())
            found.append(Section(last.header, (*last.lines, raw.strip())))
    return tuple(found)


# Every check of a balancer asks what its configuration says.
@functools.lru_cache(maxsize=64)
def parse_config(text: str) -> tuple[Proxy, ...]:
    """The sections that carry traffic. A line that is not understood changes nothing: HAProxy checks its own
    file.
    """
    proxies: list[Proxy] = []
    plain = _Defaults(
        Proxy("defaults", "", "tcp", "", (), "", ()), Server("", "", 0, False, INTER, FALL, RISE, 1)
    )
    named: dict[str, _Defaults] = {}
    latest = plain
    current: Proxy | None = None
    section_server = plain.server
    for raw in text.splitlines():
        words = _words(raw)
        if not words:
            continue
        if words[0] in _SECTIONS:
            if current is not None and current.kind != "defaults":
                proxies.append(current)
            current = None
            name = words[1] if len(words) > 1 else ""
            # a section "from" defaults takes those, by their name
            base = named.get(words[words.index("from") + 1]) if "from" in words[:-1] else None
            if words[0] == "defaults":
                latest = base or plain
                current, section_server = replace(latest.proxy, name=name), latest.server
            elif words[0] in ("frontend", "backend", "listen"):
                begun = base or latest
                current, section_server = replace(begun.proxy, kind=words[0], name=name), begun.server
            continue
        if current is None:
            continue
        if words[0] == "default-server":
            section_server = _settings(section_server, words[1:])
        else:
            current = _line(current, words, section_server)
        if current.kind == "defaults":
            latest = named[current.name] = _Defaults(current, section_server)
    if current is not None and current.kind != "defaults":
        proxies.append(current)
    return tuple(proxies)


@dataclass(frozen=True)
class _Defaults:
    """What sections begin with, and their server lines."""

    proxy: Proxy
    server: Server


_SECTIONS = frozenset(
    {
        "global",
        "defaults",
        "frontend",
        "backend",
        "listen",
        "peers",
        "resolvers",
        "userlist",
        "cache",
        "program",
        "mailers",
        "http-errors",
        "ring",
        "fcgi-app",
    }
)


def _words(line: str) -> list[str]:
    """A line's words, without quotation marks, backslashes and its comment (HAProxy's manual, 2.2)."""
    if not _QUOTING.search(line):
        return line.split()
    lexer = shlex.shlex(line, posix=True)
    lexer.whitespace_split = True
    try:
        return list(lexer)
    except ValueError:
        return line.split()  # HAProxy does not take it either


_QUOTING = re.compile("[\"'\\\\#]")


def _line(proxy: Proxy, words: list[str], server: Server) -> Proxy:
    rest = words[1:]
    if words[0] == "mode" and rest:
        return replace(proxy, mode=rest[0])
    if words[0] == "balance" and rest:
        return replace(proxy, balance=" ".join(rest))
    if words[0] == "cookie" and rest:
        return replace(proxy, cookie=rest[0])
    if words[:2] == ["option", "http-buffer-request"] or words[:2] == ["http-request", "wait-for-body"]:
        return replace(proxy, buffers=True)
    if words[0] == "stick" and rest:
        return replace(proxy, sticks=" ".join(rest))
    if words[0] == "bind" and rest:
        ports = tuple(port for item in rest[0].split(",") for port in _ports(item))
        return replace(proxy, binds=proxy.binds + ports)
    if words[0] == "default_backend" and rest:
        return replace(proxy, default_backend=rest[0])
    if words[0] == "use_backend" and rest:
        return replace(proxy, uses=(*proxy.uses, rest[0]))
    if words[0] == "server" and len(rest) >= 2:
        return replace(proxy, servers=(*proxy.servers, _server(rest[0], rest[1], rest[2:], server)))
    if words[0] == "server-template" and len(rest) >= 3:
        return replace(proxy, servers=(*proxy.servers, *_template(rest, server)))
    return proxy


def _ports(bind: str) -> list[int]:
    first, _, last = bind.rpartition(":")[2].partition("-")
    low, high = _number(first), _number(last or first)
    if low is None or high is None:
        return []
    return list(range(low, min(high, low + 100) + 1))


def _server(name: str, address: str, words: list[str], base: Server) -> Server:
    host, _, port = address.rpartition(":")
    found = replace(base, name=name, host=host or address, port=_number(port) or 0)
    return _settings(found, words)


def _template(words: list[str], base: Server) -> list[Server]:
    """``server-template PREFIX COUNT|FIRST-LAST ADDRESS``: all have the same address."""
    first, _, last = words[1].partition("-")
    low, high = (_number(first), _number(last)) if last else (1, _number(first))
    if low is None or high is None:
        return []
    return [
        _server(f"{words[0]}{n}", words[2], words[3:], base) for n in range(low, min(high, low + 100) + 1)
    ]


def _settings(server: Server, words: list[str]) -> Server:
    """The keywords of a server line that the lab is about."""
    for at, word in enumerate(words):
        value = words[at + 1] if at + 1 < len(words) else ""
        if word in ("check", "no-check"):
            server = replace(server, check=word == "check")
        elif word == "inter":
            server = replace(server, inter=_seconds(value) or server.inter)
        elif word == "fall" and (number := _number(value)) is not None:
            server = replace(server, fall=number)
        elif word == "rise" and (number := _number(value)) is not None:
            server = replace(server, rise=number)
        elif word == "weight" and (number := _number(value)) is not None:
            server = replace(server, weight=number)
    return server


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _seconds(text: str) -> float:
    """HAProxy's times are milliseconds without a unit."""
    match = re.fullmatch(r"([0-9]{1,12})(us|ms|s|m|h|d)?", text)
    if not match:
        return 0.0
    scale = {"us": 1e-6, "ms": 1e-3, None: 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    return int(match.group(1)) * scale[match.group(2)]


HAPROXY = Probe("haproxy", Haproxy, interpret)


def config_check() -> Request[Haproxy]:
    """HAProxy's configuration, what ``haproxy -c`` says of it, and its servers' state from the admin
    socket.
    """
    return Request(HAPROXY, {}, deadline=60.0)


CANDIDATE = Probe("candidate", Candidate, lambda data: decode(Candidate, data))


def candidate_check(text: str) -> Request[Candidate]:
    """Whether the VM's HAProxy would accept ``text`` as its whole configuration; the one in use stays."""
    return Request(CANDIDATE, {"text": text}, deadline=60.0)
