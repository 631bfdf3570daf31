"""DNS queries, sent from the VM itself or from outside; answers are parsed here and nowhere else."""

from __future__ import annotations

import base64
import json
import secrets
import struct
import time
from dataclasses import dataclass, replace
from typing import Any

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype

from labctl.agent.remote.outcome import Context
from labctl.agent.remote.probes import dns as wire
from labctl.probes.decoding import Malformed, decode
from labctl.probes.kept import kept
from labctl.probes.request import Json, Probe, Request, Vantage, made_once

#: Seconds to wait for one try, and how many: a lost packet must not look like a closed port.
WAIT, TRIES = 3.0, 3
MAX_RECORDS = 200
#: A longer response is not read: two thousand addresses have room in it, and more strings than dnspython
#: reads in a moment do not.
MOST_OCTETS = 32 << 10


@dataclass(frozen=True)
class Record:
    """One resource record. Names and data are in presentation form, lower-case names with a dot at the
    end.
    """

    name: str
    type: str
    data: str
    ttl: int


@dataclass(frozen=True)
class DnsAnswer:
    """``status``: answered, timeout, refused (nobody listens), reset, unreachable, malformed.

    ``rcode`` is NOERROR, NXDOMAIN, REFUSED, SERVFAIL ... and "" when nobody answered.
    """

    status: str
    rcode: str
    authoritative: bool
    recursion: bool
    answers: tuple[Record, ...]
    authority: tuple[Record, ...]
    seconds: float

    @property
    def answered(self) -> bool:
        return self.status == "answered"

    def data(self, kind: str) -> tuple[str, ...]:
        """The data of the answer's records of one type, sorted."""
        return tuple(sorted({record.data for record in self.answers if record.type == kind}))

    def __str__(self) -> str:
        if not self.answered:
            return {"refused": "nobody listens there", "timeout": "no answer in time"}.get(
                self.status, self.status
            )
        if self.rcode != "NOERROR":
            return self.rcode
        return ", ".join(f"{r.type} {r.data}" for r in self.answers[:6]) or "an empty answer"


@made_once
def dns_query(
    name: str,
    kind: str,
    *,
    at: str = "127.0.0.1",
    port: int = 53,
    tcp: bool = False,
    recurse: bool = True,
    vantage: Vantage = "vm",
    attempt: int = 1,
) -> Request[DnsAnswer]:
    """Ask the server ``at`` for ``name`` and type ``kind``. Names are taken as absolute.

    ``attempt`` makes a query for the same thing a new one: a second look when nothing came back.
    """
    args = {"name": absolute(name), "type": kind, "at": at, "port": port, "tcp": tcp, "recurse": recurse}
    if attempt > 1:
        args["attempt"] = attempt
    return Request(DNS, args, vantage=vantage, deadline=WAIT * (TRIES + 1) + 10)


def absolute(name: str) -> str:
    """A name with the dot at its end: one way to write it, so that nobody asks for it twice."""
    return name if name.endswith(".") else f"{name}."


def current_key(key: str) -> str:
    """The key that a query of an earlier labctl has now: names were written as each check had them."""
    probe, vantage, args = json.loads(key)
    if probe != DNS.name:
        return key
    return Request(DNS, {**args, "name": absolute(args["name"])}, vantage=vantage).key


def wire_args(args: Json) -> dict[str, Any]:
    """What the agent is sent: it only carries bytes."""
    number = secrets.token_bytes(2)
    query = number + _query(absolute(str(args["name"])), str(args["type"]), bool(args["recurse"]))
    return {
        "server": args["at"],
        "port": args["port"],
        "tcp": args["tcp"],
        "query": base64.b64encode(query).decode(),
        "wait": WAIT,
        "tries": TRIES,
    }


@kept(most=1024, small=512)
def _query(name: str, kind: str, recurse: bool) -> bytes:
    """A query without the two bytes of its number, which come first: the same for all VMs of a class."""
    message = dns.message.make_query(dns.name.from_text(name), kind, use_edns=0, payload=1232)
    if not recurse:
        message.flags &= ~dns.flags.RD
    return message.to_wire()[2:]


@dataclass(frozen=True)
class _Wire:
    status: str
    response: str
    seconds: float


def interpret(data: Json) -> DnsAnswer:
    """The agent's account, with the server's bytes in it, as an answer."""
    came = decode(_Wire, data)
    if came.status != "answered":
        return _silent(came.status, came.seconds)
    try:
        raw = base64.b64decode(came.response, validate=True)
    except ValueError as err:
        raise Malformed(f"the response is not base64: {err}") from err
    return parse(raw, came.seconds)


def parse(raw: bytes, seconds: float) -> DnsAnswer:
    """A response's bytes as an answer; status "malformed" when they are none."""
    # what its number is says nothing
    return replace(_read(b"\0\0" + _beginning(raw)[2:]), seconds=round(seconds, 4))


def _beginning(raw: bytes) -> bytes:
    """A response without the records that are too many to be looked at; b"" when it is none."""
    if not _HEAD.size <= len(raw) <= MOST_OCTETS:
        return b""
    *flags, questions, answers, authority, others = _HEAD.unpack_from(raw)
    if questions > 1:
        return b""
    if answers + authority + others <= MAX_RECORDS:
        return raw
    # whatever follows a section that is cut cannot be read
    read = [min(answers, MAX_RECORDS), 0, 0]
    if answers <= MAX_RECORDS:
        read[1] = min(authority, MAX_RECORDS)
    return _HEAD.pack(*flags, questions, *read) + raw[_HEAD.size :]


_HEAD = struct.Struct("!6H")


# a class's VMs say the same of most names
@kept(most=256, small=512)
def _read(raw: bytes) -> DnsAnswer:
    try:
        return _answer(dns.message.from_wire(raw, ignore_trailing=True))
    except (dns.exception.DNSException, ValueError, IndexError, RecursionError):
        return _silent("malformed", 0.0)


def ask_outside(args: Json, seconds: float) -> DnsAnswer:
    """The query from the grader's machine, sent as the agent sends it."""
    return interpret(wire.run(wire_args(args), Context(time.monotonic() + seconds)))


def _silent(status: str, seconds: float) -> DnsAnswer:
    return DnsAnswer(status, "", False, False, (), (), round(seconds, 4))


def _answer(message: dns.message.Message) -> DnsAnswer:
    return DnsAnswer(
        status="answered",
        rcode=dns.rcode.to_text(message.rcode()),
        authoritative=bool(message.flags & dns.flags.AA),
        recursion=bool(message.flags & dns.flags.RA),
        answers=_records(message.answer),
        authority=_records(message.authority),
        seconds=0.0,
    )


def _records(section: list[Any]) -> tuple[Record, ...]:
    found = []
    for rrset in section:
        kind = dns.rdatatype.to_text(rrset.rdtype)
        for item in rrset:
            found.append(
                Record(rrset.name.to_text().lower(), kind, normal(kind, text_of(item)), int(rrset.ttl))
            )
    return tuple(found[:MAX_RECORDS])


def text_of(data: Any) -> str:
    """A record's data as text. Where they are a list of more types or ports than anybody has (NSEC, WKS),
    without their names: for eight thousand octets dnspython makes 65 thousand of those.
    """
    lists = [bits for _, bits in getattr(data, "windows", ())] or [getattr(data, "bitmap", b"")]
    if sum(int.from_bytes(bits, "big").bit_count() for bits in lists) > _MOST_LISTED:
        data = data.to_generic()
    return str(data.to_text())


_MOST_LISTED = 64


#: Types whose data holds names, which compare without regard to case.
_NAMED = frozenset({"NS", "CNAME", "PTR", "MX", "SRV", "SOA", "DNAME"})


def normal(kind: str, data: str) -> str:
    """Record data in a form that compares: names in lower case."""
    return data.lower() if kind in _NAMED else data


DNS = Probe("dns", DnsAnswer, interpret, outside=ask_outside)
