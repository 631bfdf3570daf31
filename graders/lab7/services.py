"""Question 0a: what listens on the VM, as the student wrote it down, beside the VM's own table."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate, islice, pairwise

from labctl.grading import Judgement, See, Target, failed, passed, unjudged
from labctl.grading.answers import answer, lines_of
from labctl.probes import Socket, sockets

#: Programs by other names that people call them: their package's, or what the lab calls them.
_ALSO = {
    "named": ("bind", "bind9", "dns"), "haproxy": ("ha-proxy",), "ntpd": ("ntp", "ntpsec"),
    "sshd": ("openssh", "openssh-server"), "rpcbind": ("portmap", "portmapper", "rpc.bind"),
}  # fmt: skip
#: Who holds a service's socket until somebody connects.
_HOLDERS = frozenset({"systemd", "init"})
#: From here on the kernel gives ports to whoever asks for none in particular: others after every restart.
_EPHEMERAL = 32768
_DHCP_CLIENT = {("udp", 68), ("udp", 546)}
#: The kernel keeps this much of a program's name.
_COMM = 15

_EXPECTED = "the port, protocol and program of each service that other machines can connect to"

_SLASHED = re.compile(
    r"(?<![\w.])(\d{1,5})\s*(?:/\s*)?\(?(?:tcp|udp)|(?:tcp|udp)\s*/\s*(\d{1,5})\b", re.IGNORECASE
)
#: ``7000-7001``, ``7000 and 7001``, ``7000+7001``; of more than these nobody says it in a row.
_SEVERAL = re.compile(r"(?<![\w.:/])\d{1,5}(?:\s*(?:[-+&]|and|to)\s*\d{1,5}){1,40}(?![\w.])", re.IGNORECASE)
_RANGE = re.compile(r"(\d+)\s*(?:-|to)\s*(\d+)", re.IGNORECASE)
#: More ports in a range are none that somebody looked up.
_MAX_RANGE = 64
#: More services in an answer are guesses, and are not read on.
_MAX_CLAIMS = 10_000
#: The line up to each parenthesis; in front of a closing one, commas separate nothing.
_UP_TO_PARENTHESIS = re.compile(r"[^()]+[()]?|[()]")
_NEXT = re.compile("[,;]")
#: Words in a line that says a service without its protocol; more are a sentence.
_FEW_WORDS = 4
_IN_ADDRESS = re.compile(r":(\d{1,5})(?=[\s,;]|$)")
_NUMBER = re.compile(r"(?<![\w./:])(\d{1,5})(?![\w./])")
_PROTO = re.compile(r"(?<![a-z])(tcp|udp)(?:[46]\b|\b)", re.IGNORECASE)
#: A protocol for all that follows in its line.
_AHEAD = re.compile(r"(?<![a-z/])(tcp|udp)[46]?[\s:=-]+(?:ports?[\s:=]+)?\d", re.IGNORECASE)
_WORD = re.compile(r"[a-z][\w.+-]*")
_NO_NAMES = frozenset({"tcp", "udp", "tcp4", "udp4", "tcp6", "udp6", "port", "ports", "and", "to"})
#: Says that a service does not count; an address of the loopback before a port is a line of ss.
_NO_CLAIM = re.compile(
    r"loopback|localhost|does(?:n't| not) count|127(?:\.\d{1,3}){1,3}(?![\d.]{0,10}(?:%\w{1,20})?:\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Claim:
    """What names a service: ``proto`` is "" when it does not say which. ``apart``: it says that this one does
    not count.
    """

    port: int
    proto: str
    words: frozenset[str]
    apart: bool = False

    def means(self, one: Socket) -> bool:
        """The same port and protocol, whoever holds it."""
        return self.port == one.port and self.proto in ("", one.proto)

    def names(self, one: Socket, called: frozenset[str]) -> bool:
        """The line has one of the names that the program is called; the kernel's own sockets have none."""
        return not one.process or not self.words.isdisjoint(called)


def read_claims(text: str) -> tuple[Claim, ...]:
    """The services in an answer, each once: lines as the lab shows one, or as ``ss`` or ``netstat`` print
    them, or several services in a line. A line without a port (a heading) says nothing, nor does a sentence
    that names no protocol.
    """
    said = (claim for line in text.splitlines() for claim in _claims(line))
    return tuple(dict.fromkeys(islice(said, _MAX_CLAIMS)))


def _claims(line: str) -> Iterator[Claim]:
    if not _PROTO.search(line) and len(line.split()) > _FEW_WORDS:
        return
    parts = _parts(line)
    ahead = ""
    said: list[tuple[str, frozenset[str]]] = []
    for part in parts:
        found = _AHEAD.search(part)
        ahead = found[1].lower() if found else ahead
        protos = {proto.lower() for proto in _PROTO.findall(part)} or {ahead}
        said.append((protos.pop() if len(protos) == 1 else "", _words(part)))
    names = [bool(words - _NO_NAMES) for _, words in said]
    # "7000, 7001/tcp haproxy" and "haproxy: 7000, 7001": a port has the nearest name on the side of the first
    first = parts[names.index(True)] if any(names) else ""
    behind = re.match(r"[^a-z\d]*\d", _named(first)) is not None
    before = _nearest(names)
    after = [len(names) - 1 - at for at in reversed(_nearest(names[::-1]))]
    order = (after, before) if behind else (before, after)
    for at, part in enumerate(parts):
        donor = next((one[at] for one in order if 0 <= one[at] < len(parts)), at)
        proto = said[at][0] or ("" if _PROTO.search(part) else said[donor][0])
        apart = bool(_NO_CLAIM.search(part))
        for port in _ports(part):
            if port <= 65535:
                yield Claim(port, proto, said[donor][1], apart)


def _nearest(named: list[bool]) -> list[int]:
    """For each place the last one up to it that is named, or -1."""
    return list(accumulate((at if one else -1 for at, one in enumerate(named)), max))


def _parts(line: str) -> list[str]:
    """The line by its services: what stands between commas, with what follows and names no port."""
    if _IN_ADDRESS.search(line):
        return [line]
    parts: list[str] = []
    full = False
    for piece in _pieces(line):
        found = bool(_ports(piece))
        if parts and not (found and full):
            parts[-1] += f", {piece}"
            full = full or found
        else:
            parts.append(piece)
            full = found
    return parts


def _pieces(line: str) -> list[str]:
    """What stands between commas and semicolons that are outside of parentheses."""
    pieces = [""]
    for run in _UP_TO_PARENTHESIS.findall(line):
        first, *others = [run] if run.endswith(")") else _NEXT.split(run)
        pieces[-1] += first
        pieces += others
    return pieces


def _ports(text: str) -> list[int]:
    several = _SEVERAL.search(text)
    if several:
        ends = [int(one) for one in re.findall(r"\d+", several[0])]
        ranges = [(int(one[1]), int(one[2])) for one in _RANGE.finditer(several[0])]
        inside = [port for one, last in ranges if last - one <= _MAX_RANGE for port in range(one, last)]
        return list(dict.fromkeys([*ends, *inside]))
    slashed = [int(before or after) for before, after in _SLASHED.findall(text)]
    if slashed:
        return slashed
    one = _IN_ADDRESS.search(text) or _NUMBER.search(text)
    return [int(one[1])] if one else []


def _words(text: str) -> frozenset[str]:
    """What may be names, also of two words ("HA Proxy")."""
    words = [_without_suffix(word) for word in _WORD.findall(text.lower())]
    pairs = [f"{one}{other}" for one, other in pairwise(words)]
    return frozenset(word[:_COMM] for word in (*words, *pairs))


def _without_suffix(word: str) -> str:
    bare = word.rstrip(".")
    return bare.removesuffix(".socket" if bare.endswith(".socket") else ".service")


def _named(text: str) -> str:
    """The text without words that are no names."""
    return _WORD.sub(lambda found: "" if found[0] in _NO_NAMES else found[0], text.lower())


def names_of(one: Socket) -> frozenset[str]:
    """What a socket's program may be called: its own name, its unit's, the ones that people use."""
    names = {one.process, one.unit.partition(".")[0].partition("@")[0]}
    if one.process in _HOLDERS:
        names |= _HOLDERS | ({one.service, f"{one.service}d"} if one.service else set())
    for name in tuple(names):
        names |= {*_ALSO.get(name, ()), name.removesuffix("d") if len(name) > 3 else name}
    return frozenset(name.lower()[:_COMM] for name in names if name)


def lasting(listening: Iterable[Socket]) -> frozenset[tuple[int, str]]:
    """What has to be named: ports that others can reach and that are the same after a restart. A DHCP
    client's is no service, and NFS's helpers take any port that is free.
    """
    return frozenset(
        (one.port, one.proto)
        for one in listening
        if not one.loopback
        and one.process
        and one.port < _EPHEMERAL
        and not one.process.startswith("rpc.")
        and (one.proto, one.port) not in _DHCP_CLIENT
    )


@answer("0a", read=lines_of)
def services(_vm: Target, see: See, text: str) -> Judgement:
    """You know which services listen on your VM."""
    listening = see(sockets()).listening
    wanted = lasting(listening)
    if not wanted:
        return unjudged("nothing listens on this VM beyond loopback", "staff: read this answer")
    claims = read_claims(text)
    if not claims:
        return failed(
            expected=_EXPECTED,
            seen="no line of the form 80/tcp nginx",
            hint="one line for each service: its port and protocol, then the program",
            for_staff=True,
        )
    right: set[tuple[int, str]] = set()
    wrong: list[str] = []
    named = {one: names_of(one) for one in listening}
    known = frozenset(name for one in listening if one.process for name in named[one])
    at_port: dict[int, list[Socket]] = {}
    for one in listening:
        at_port.setdefault(one.port, []).append(one)
    unread = _unread(text, {port for port, _ in wanted})
    stuffed = False
    for claim in claims:
        meant = [one for one in at_port.get(claim.port, ()) if claim.means(one)]
        held = [one for one in meant if claim.names(one, named[one])]
        if any(not one.loopback for one in held):
            right |= {(one.port, one.proto) for one in held if not one.loopback}
            own = frozenset(name for one in held for name in named[one]) | _HOLDERS
            stuffed |= bool(claim.words & known - own)
        elif claim.apart:
            continue
        elif held:
            wrong.append(f"{_short(claim)}: on loopback only")
        elif meant:
            wrong.append(f"{_short(claim)}: another program has that port")
            unread |= bool(claim.words - _NO_NAMES) and not claim.words & known
        else:
            wrong.append(f"{_short(claim)}: nothing listens there")
    missing = len(wanted - right)
    told = ", ".join(f"{port}/{proto}" for port, proto in sorted(right))
    if not missing and not wrong:
        return passed(told, for_staff=stuffed)
    seen = [f"right: {told}" if told else "none is right", *wrong[:4]]
    if len(wrong) > 4:
        seen.append(f"{len(wrong) - 4} more that are wrong")
    if missing:
        seen.append(f"{missing} missing")
    return failed(
        expected=_EXPECTED,
        seen="; ".join(seen),
        hint="sudo ss -tulpn has them all: which addresses are loopback, and which program holds the others?",
        share=len(wanted & right) / (len(wanted) + len(wrong)),
        for_staff=stuffed or unread,
    )


def _unread(text: str, ports: set[int]) -> bool:
    """Whether a line speaks of one of these ports and nothing was read in it."""
    left = [line for line in text.splitlines() if not any(_claims(line))]
    return any(int(number) in ports for line in left for number in re.findall(r"(?<!\d)\d{1,5}(?!\d)", line))


def _short(claim: Claim) -> str:
    return f"{claim.port}/{claim.proto}" if claim.proto else str(claim.port)


CHECKS = (services,)
