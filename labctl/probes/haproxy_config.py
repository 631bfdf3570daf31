"""HAProxy's configuration as it is written: its sections, and those that carry traffic."""

from __future__ import annotations

import itertools
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace

from labctl.probes.haproxy_branches import Branches
from labctl.probes.haproxy_rules import Truth, holds, is_so, with_another
from labctl.probes.kept import kept

#: HAProxy's own defaults, in seconds and counts (its manual, 5.2: inter, fall, rise).
INTER, FALL, RISE = 2.0, 3, 2
#: What a VM sends may be made to take long: beyond these it is no student's file, and is not read on.
MOST_LINES, LONGEST_LINE = 20_000, 2048
#: Characters that variables add to the whole of it.
MOST_EXPANDED = 65_536
#: Of the servers, ports and rules that one section has.
MOST_OF_A_KIND = 1000
#: Named conditions of one section.
_MOST_ACLS = 100
#: A server tracks one that tracks another: so many are followed.
_MOST_TRACKS = 20


@dataclass(frozen=True)
class Server:
    """One server of a backend as configured. ``inter`` is seconds between two health checks, ``fastinter``
    while they disagree with its state, ``downinter`` when it is DOWN; None for those that are not given. A
    server that tracks another's checks (``track``, "BACKEND/SERVER") is checked, as often as that one is.
    """

    name: str
    host: str
    port: int
    check: bool
    inter: float
    fall: int
    rise: int
    weight: int
    fastinter: float | None = None
    downinter: float | None = None
    track: str = ""

    @property
    def falls(self) -> float:
        """Seconds within which its checks take it DOWN once it fails."""
        return self.inter + (self.fall - 1) * self._fast

    @property
    def rises(self) -> float:
        """Seconds within which its checks take it UP once it works."""
        first = self.inter if self.downinter is None else self.downinter
        return first + (self.rise - 1) * self._fast

    @property
    def _fast(self) -> float:
        return self.inter if self.fastinter is None else self.fastinter


@dataclass(frozen=True)
class Proxy:
    """A frontend, backend or listen section. ``balance`` has the arguments too, and is "" when it is left
    out, "roundrobin" then being meant. ``uses`` are the backends of ``use_backend``, up to the first that is
    taken whatever is asked for, ``always``. ``cookie`` is the name of the one that HAProxy sets, ``sticks``
    what a stick table goes by. ``buffers``: it waits for the whole of a request before it chooses a server.
    ``acls``: its named conditions, as far as they are known to hold for the lab's requests.
    """

    kind: str
    name: str
    mode: str
    balance: str
    binds: tuple[int, ...]
    default_backend: str
    servers: tuple[Server, ...]
    uses: tuple[str, ...] = ()
    always: str = ""
    cookie: str = ""
    sticks: str = ""
    buffers: bool = False
    acls: tuple[tuple[str, Truth], ...] = ()
    disabled: bool = False

    @property
    def algorithm(self) -> str:
        """The word alone: "hdr" for ``balance hdr(User-Agent)``."""
        return self.balance.split("(")[0].split(" ")[0] or "roundrobin"

    @property
    def usual_backend(self) -> str:
        """Where requests go that no rule sends elsewhere; "" for a section with no such backend."""
        return self.always or self.default_backend


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
    found: list[tuple[str, list[str]]] = []
    for raw in text.split("\n"):  # what else Python takes for the end of a line may stand in a comment
        words = _words(raw)
        if words and words[0] in _SECTIONS:
            found.append((" ".join(words), []))
        elif words:
            if not found:
                found.append(("", []))
            found[-1][1].append(raw.strip())
    return tuple(Section(header, tuple(lines)) for header, lines in found)


# Every check of a balancer asks what its configuration says.
@kept(most=64, small=65536)
def parse_config(text: str) -> tuple[Proxy, ...]:
    """The sections that carry traffic, without disabled ones. A line that is not understood changes nothing:
    HAProxy checks its own file.
    """
    proxies: list[Proxy] = []
    plain = _Defaults(
        Proxy("defaults", "", "tcp", "", (), "", ()), Server("", "", 0, False, INTER, FALL, RISE, 1)
    )
    named: dict[str, _Defaults] = {}
    latest = plain
    current: Proxy | None = None
    section_server = plain.server
    for words in lines_of(text):
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
        if current is None or (current.kind == "defaults" and words[0] in _NOT_IN_DEFAULTS):
            continue
        if words[0] == "default-server":
            section_server = _settings(section_server, words[1:])
        else:
            current = _line(current, words, section_server)
        if current.kind == "defaults":
            latest = named[current.name] = _Defaults(current, section_server)
    if current is not None and current.kind != "defaults":
        proxies.append(current)
    return _tracked([one for one in proxies if not one.disabled])


def _tracked(proxies: list[Proxy]) -> tuple[Proxy, ...]:
    """Servers that track another's checks have that one's times: it alone is looked at (its manual, 5.2)."""
    known = {(proxy.name, server.name): server for proxy in proxies for server in proxy.servers}

    def timed(proxy: Proxy, server: Server) -> Server:
        looked_at, place = server, proxy.name
        for _ in range(_MOST_TRACKS):
            if not looked_at.track:
                break
            backend, _, name = looked_at.track.rpartition("/")
            place = backend or place
            if (place, name) not in known:
                return server
            looked_at = known[place, name]
        return replace(
            server,
            inter=looked_at.inter,
            fall=looked_at.fall,
            rise=looked_at.rise,
            fastinter=looked_at.fastinter,
            downinter=looked_at.downinter,
        )

    if not any(server.track for server in known.values()):
        return tuple(proxies)
    return tuple(
        replace(proxy, servers=tuple(timed(proxy, one) if one.track else one for one in proxy.servers))
        for proxy in proxies
    )


def lines_of(text: str) -> Iterator[list[str]]:
    """The words of each line that counts, with the variables that the lines before it set."""
    variables: dict[str, str] = {}
    room = MOST_EXPANDED
    branches = Branches()
    for raw in itertools.islice(text.split("\n"), MOST_LINES):
        line = _expanded(raw, variables, min(room, LONGEST_LINE))
        room -= max(0, len(line) - len(raw))
        words = _words(line)
        if not words or not branches.reads(words, variables):
            continue
        yield words
        if words[:1] == ["setenv"] and len(words) > 2:
            variables[words[1]] = words[2]
        if words[:1] == ["presetenv"] and len(words) > 2:
            variables.setdefault(words[1], words[2])


def _expanded(line: str, variables: dict[str, str], room: int) -> str:
    """The line with ``${NAME}`` and ``${NAME-what else}`` filled in; what HAProxy has from its unit's
    environment is not known here. Where more than ``room`` characters would come in, the line stays as it is:
    each may double the last.
    """
    if "${" not in line or len(line) > LONGEST_LINE:
        return line
    done: list[str] = []
    length = at = 0
    end = -1
    while (begin := line.find("${", at)) >= 0:
        if end < begin:
            end = line.find("}", begin)
        if end < 0:
            break
        name, dash, otherwise = line[begin + 2 : end].partition("-")
        if not _NAME.fullmatch(name):
            done.append(line[at : begin + 2])
            at = begin + 2
            continue
        value = variables.get(name, otherwise if dash else line[begin : end + 1])
        length += len(value)
        if length > room:
            return line
        done += [line[at:begin], value]
        at = end + 1
    return "".join([*done, line[at:]])


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


_NAME = re.compile(r"\w{1,256}")
#: HAProxy does not take these there, and every section that follows would have them again.
_NOT_IN_DEFAULTS = frozenset({"bind", "use_backend", "server", "server-template"})
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
    if words[0] == "bind" and rest and len(proxy.binds) < MOST_OF_A_KIND:
        ports = tuple(port for item in rest[0].split(",") for port in _ports(item))
        return replace(proxy, binds=(proxy.binds + ports)[:MOST_OF_A_KIND])
    if words[0] in ("acl", "default_backend", "use_backend") and rest:
        return _rule(proxy, words[0], rest)
    if words[0] in ("disabled", "enabled"):
        return replace(proxy, disabled=words[0] == "disabled")
    if len(proxy.servers) >= MOST_OF_A_KIND:
        return proxy
    if words[0] == "server" and len(rest) >= 2:
        return replace(proxy, servers=(*proxy.servers, _server(rest[0], rest[1], rest[2:], server)))
    if words[0] == "server-template" and len(rest) >= 3:
        return replace(proxy, servers=(*proxy.servers, *_template(rest, server)))
    return proxy


def _rule(proxy: Proxy, word: str, rest: list[str]) -> Proxy:
    """What decides to which backend a request goes."""
    http = proxy.mode == "http"
    if word == "default_backend":
        return replace(proxy, default_backend=rest[0])
    if word == "acl":
        known = with_another(proxy.acls, rest[0], is_so(rest[1:], http))
        return replace(proxy, acls=known) if len(known) <= _MOST_ACLS else proxy
    if proxy.always or len(proxy.uses) >= MOST_OF_A_KIND:
        return proxy
    taken = holds(rest[1:], dict(proxy.acls), http)
    if taken is False:
        return proxy
    # a name that is made of the request may be that of no backend
    if taken and "%" not in rest[0]:
        return replace(proxy, always=rest[0])
    return replace(proxy, uses=(*proxy.uses, rest[0]))


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
        if word in ("check", "no-check", "track"):
            server = replace(server, check=word != "no-check")
            if word == "track":
                server = replace(server, track=value)
        elif word == "inter":
            server = replace(server, inter=_seconds(value) or server.inter)
        elif word == "fastinter":
            server = replace(server, fastinter=_seconds(value) or server.fastinter)
        elif word == "downinter":
            server = replace(server, downinter=_seconds(value) or server.downinter)
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
