"""Question 0a: what listens on the VM, as the student wrote it down, beside the VM's own table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.grading import Judgement, See, Target, failed, passed, unjudged
from labctl.grading.answers import answer, lines_of
from labctl.probes import Socket, sockets

#: Programs by other names that people call them: their package's, or what the lab calls them.
_ALSO = {
    "named": ("bind", "bind9", "dns"), "haproxy": ("ha-proxy",), "ntpd": ("ntp", "ntpsec"),
    "sshd": ("openssh", "openssh-server"), "rpcbind": ("portmap", "portmapper", "rpc.bind"),
}  # fmt: skip
#: Who holds a service's socket until somebody connects.
_HOLDER = "systemd"
#: From here on the kernel gives ports to whoever asks for none in particular: others after every restart.
_EPHEMERAL = 32768
_DHCP_CLIENT = {("udp", 68), ("udp", 546)}
#: The kernel keeps this much of a program's name.
_COMM = 15

_EXPECTED = "the port, protocol and program of each service that other machines can connect to"

_SLASHED = re.compile(r"(?<![\w.])(\d{1,5})\s*/?\s*(?:tcp|udp)|(?:tcp|udp)\s*/\s*(\d{1,5})\b", re.IGNORECASE)
#: ``22 (sshd), 53 (named)``
_LISTED = re.compile(r"\d{1,5}(?:\s*\([^)]*\))?(?:\s*,\s*\d{1,5}(?:\s*\([^)]*\))?)+")
#: Words in a line that says a service without its protocol; more are a sentence.
_FEW_WORDS = 4
_IN_ADDRESS = re.compile(r":(\d{1,5})(?=[\s,;]|$)")
_NUMBER = re.compile(r"(?<![\w./:])(\d{1,5})(?![\w./])")
_PROTO = re.compile(r"(?<![a-z])(tcp|udp)(?:[46]\b|\b)", re.IGNORECASE)
_WORD = re.compile(r"[a-z][\w.+-]*")
_SUFFIX = re.compile(r"(\.service|\.socket)?\.*\Z")


@dataclass(frozen=True)
class Claim:
    """A line that names a service: ``proto`` is "" when the line does not say which."""

    port: int
    proto: str
    words: frozenset[str]

    def means(self, one: Socket) -> bool:
        """The same port and protocol, whoever holds it."""
        return self.port == one.port and self.proto in ("", one.proto)

    def names(self, one: Socket) -> bool:
        """The line has the program's name; the kernel's own sockets have none."""
        return not one.process or bool(self.words & names_of(one))


def read_claims(text: str) -> tuple[Claim, ...]:
    """The services in an answer, each once: lines as the lab shows one, or as ``ss`` or ``netstat`` print
    them. A line without a port (a heading) says nothing, nor does a sentence that names no protocol.
    """
    found: dict[tuple[int, str, frozenset[str]], Claim] = {}
    for line in text.splitlines():
        protos = {proto.lower() for proto in _PROTO.findall(line)}
        if not protos and len(line.split()) > _FEW_WORDS:
            continue
        proto = protos.pop() if len(protos) == 1 else ""
        ports = _ports(line)
        words = frozenset(_SUFFIX.sub("", word)[:_COMM] for word in _WORD.findall(line.lower()))
        for port in ports:
            if port <= 65535:
                found.setdefault((port, proto, words), Claim(port, proto, words))
    return tuple(found.values())


def _ports(line: str) -> list[int]:
    slashed = [int(before or after) for before, after in _SLASHED.findall(line)]
    if slashed:
        return slashed
    one = _IN_ADDRESS.search(line)
    listed = None if one else _LISTED.search(line)
    if listed:
        return [int(port) for port in _NUMBER.findall(re.sub(r"\([^)]*\)", " ", listed[0]))]
    one = one or _NUMBER.search(line)
    return [int(one[1])] if one else []


def names_of(one: Socket) -> frozenset[str]:
    """What a socket's program may be called: its own name, its unit's, the ones that people use."""
    names = {one.process, one.unit.partition(".")[0].partition("@")[0]}
    if one.process == _HOLDER and one.service:
        names |= {one.service, f"{one.service}d"}
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
    for claim in claims:
        meant = [one for one in listening if claim.means(one)]
        held = [one for one in meant if claim.names(one)]
        if any(not one.loopback for one in held):
            right |= {(one.port, one.proto) for one in held if not one.loopback}
        elif held:
            wrong.append(f"{_short(claim)}: on loopback only")
        elif meant:
            wrong.append(f"{_short(claim)}: another program has that port")
        else:
            wrong.append(f"{_short(claim)}: nothing listens there")
    missing = len(wanted - right)
    told = ", ".join(f"{port}/{proto}" for port, proto in sorted(right))
    if not missing and not wrong:
        return passed(told)
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
    )


def _short(claim: Claim) -> str:
    return f"{claim.port}/{claim.proto}" if claim.proto else str(claim.port)


CHECKS = (services,)
