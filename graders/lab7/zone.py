"""Question 2: the DNS server and its zone, as the VM itself sees them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

from labctl.grading import Judgement, See, Target, check, failed, passed
from labctl.probes import (
    DnsAnswer,
    Record,
    Request,
    Socket,
    Sockets,
    addresses,
    dns_query,
    packages,
    sockets,
    unit,
    zone_check,
)

from .facts import TEST_ADDRESS, ZONE

APEX = f"{ZONE}."
#: What the lab's own file holds.
GIVEN = frozenset({(APEX, "SOA"), (APEX, "NS"), (APEX, "A"), (f"test.{APEX}", "A")})
#: And db.local, which a zone is begun from.
_FROM_DB_LOCAL = (APEX, "AAAA", "::1")
#: What signing a zone adds to it.
_BY_SIGNING = frozenset({"DNSKEY", "RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "CDS", "CDNSKEY", "TYPE65534"})
#: Each (name, type) of the zone costs a query; a student's zone has a dozen.
MAX_QUERIES = 40
#: Seconds in which BIND has reloaded a student's zones.
RELOAD = 3.0


@check("dns.package", question="2a", layer="package")
def package(_vm: Target, see: See) -> Judgement:
    """BIND is installed."""
    if see(packages("bind9", "dnsmasq")).installed("bind9"):
        return passed("bind9 is installed")
    return failed(
        expected="the package bind9, installed",
        seen="it is not installed",
        hint="the DNS section begins with installing a package",
    )


@check("dns.config", question="2d", layer="config", after=("dns.package",))
def config(_vm: Target, see: See) -> Judgement:
    """BIND's configuration is valid."""
    found = see(zone_check(ZONE))
    if found.config_valid:
        return passed(found.config)
    return failed(
        expected="a configuration that named-checkconf accepts",
        seen=found.config_message or "named-checkconf does not accept it",
        hint="named-checkconf names the file and the line; look at that line and the one before it",
    )


@check("dns.active", question="2a", layer="unit", after=("dns.package",), explained_by=("dns.config",))
def active(_vm: Target, see: See) -> Judgement:
    """The DNS server's unit is running."""
    found = see(unit("named", "bind9")).best()
    if found and found.is_running:
        return passed(f"{found.id} is {found.active} ({found.sub})")
    return failed(
        expected="the unit bind9 (named), active",
        seen=f"{found.active} ({found.result or found.sub})" if found else "there is no such unit",
        hint="systemctl status shows whether it runs, and the last lines of its log when it does not",
    )


@check("dns.enabled", question="2a", layer="unit", after=("dns.package",))
def enabled(_vm: Target, see: See) -> Judgement:
    """The DNS server starts at boot."""
    found = see(unit("named", "bind9")).best()
    if found and found.starts_at_boot:
        return passed(found.enabled)
    return failed(
        expected="a unit that is enabled",
        seen=found.enabled or "not enabled" if found else "there is no such unit",
        hint="running now and starting at boot are two things: systemctl has a word for each",
    )


def on_dns_port(found: Sockets) -> list[Socket]:
    """Who listens on port 53. systemd-resolved has 127.0.0.53 and .54 for itself: that does not get in BIND's
    way, and is left out.
    """
    return [one for one in found.listening if one.port == 53 and not one.address.startswith("127.0.0.5")]


@check("dns.port", question="2a", layer="socket", after=("dns.active",))
def port(_vm: Target, see: See) -> Judgement:
    """BIND, and nothing else, serves port 53."""
    holders = {one.process or "?" for one in on_dns_port(see(sockets()))}
    if holders == {"named"}:
        return passed("named")
    return failed(
        expected="named on port 53",
        seen=", ".join(sorted(holders)) or "nobody listens on port 53",
        hint="only one server can have port 53: another one must go (ss -tulpn shows who has it)",
    )


@check("dns.zone", question="2d", layer="config", after=("dns.config",))
def declared(_vm: Target, see: See) -> Judgement:
    """The zone example.com is declared, and its file is valid."""
    found = see(zone_check(ZONE))
    if not found.zone_file:
        return failed(
            expected=f'zone "{ZONE}" in the configuration',
            seen="there is no such zone",
            hint="zones of your own go into /etc/bind/named.conf.local; that file must be included to count",
        )
    if found.zone_type(ZONE) not in ("master", "primary"):
        return failed(
            expected="type master",
            seen=f"type {found.zone_type(ZONE) or 'missing'}",
            hint="your server is where this zone comes from: which type says so?",
        )
    if not found.zone_valid:
        return failed(
            expected=f"a zone file that named-checkzone {ZONE} accepts",
            seen=found.zone_message,
            hint="named-checkzone names the line; names without a dot at their end get the zone's name added",
        )
    return passed(f"{found.zone_file}, {len(found.records)} records")


@check(
    "dns.answers",
    question="2d",
    layer="answer on the VM",
    after=("dns.zone",),
    explained_by=("dns.port",),
)
def answers(_vm: Target, see: See) -> Judgement:
    """Your server answers for example.com on the VM itself."""
    soa = see(local("SOA"))
    if soa.rcode == "NOERROR" and soa.authoritative and soa.data("SOA"):
        return passed("an authoritative answer")
    return failed(
        expected=f"an authoritative answer for {ZONE} at localhost",
        seen=str(soa),
        hint="is the server running, and has it been told to read its files again since you changed them?",
    )


@check("dns.apex-address", question="2d", layer="answer on the VM", after=("dns.answers",))
def apex_address(vm: Target, see: See) -> Judgement:
    """example.com has your VM's own address."""
    answer, own = see(local("A"), addresses())
    right = {vm.lab_address} if vm.lab_address else set(own.addresses)
    got = set(answer.data("A"))
    if got and got <= right:
        return passed(", ".join(sorted(got)))
    return failed(
        expected=f"{ZONE} A {vm.lab_address or 'an address of this VM'}",
        seen=str(answer),
        hint="the A record of the zone's own name (@) must hold the address that others reach your VM at",
    )


@check("dns.apex-ns", question="2d", layer="answer on the VM", after=("dns.answers",))
def apex_ns(vm: Target, see: See) -> Judgement:
    """The name server of example.com is your VM, by its name."""
    answer, own = see(local("NS"), addresses())
    right = {vm.lab_fqdn} if vm.lab_fqdn else {own.fqdn.lower(), own.hostname.lower()} - {""}
    got = {name.rstrip(".") for name in answer.data("NS")}
    if got & right:
        return passed(", ".join(sorted(got)))
    doubled = any(name.endswith(f".{ZONE}") and name.removesuffix(f".{ZONE}") in right for name in got)
    return failed(
        expected=f"{ZONE} NS {vm.lab_fqdn or 'the full name of this VM'}.",
        seen=str(answer),
        hint=(
            "the zone's name was added to yours: what does a name in a zone file need at its end?"
            if doubled
            else "the NS record must hold your VM's full name, as it is in the staff's DNS"
        ),
    )


@check("dns.test-address", question="2d", layer="answer on the VM", after=("dns.answers",))
def given_address(_vm: Target, see: See) -> Judgement:
    """test.example.com has the address that the lab gives."""
    answer = see(dns_query(f"test.{ZONE}", "A"))
    if answer.data("A") == (TEST_ADDRESS,):
        return passed(TEST_ADDRESS)
    return failed(
        expected=f"test.{ZONE} A {TEST_ADDRESS}",
        seen=str(answer),
        hint="the lab's zone file has a record for test: compare yours with it",
    )


@check("dns.own-address", question="2d", layer="answer on the VM", after=("dns.answers",))
def own_address(_vm: Target, see: See) -> Judgement:
    """You added an A record of your own, and it is served."""
    own = [record for record in additions(see(zone_check(ZONE)).records) if record.type == "A"]
    live = served(see, own)
    if live:
        return passed(", ".join(f"{one.name} A {one.data}" for one in live[:3]))
    return failed(
        expected="an A record besides those of the lab's file, served",
        seen=f"{own[0].name} is in the file and not served"
        if own
        else "no A record of your own in the zone file",
        hint="a new record is served once the serial is raised and the server has reloaded the zone",
    )


@check("dns.own-others", question="2d", layer="answer on the VM", after=("dns.answers",))
def own_others(_vm: Target, see: See) -> Judgement:
    """You added records of two other types, and they are served."""
    own = [record for record in additions(see(zone_check(ZONE)).records) if record.type != "A"]
    # $GENERATE makes many of a type: of each some are asked for
    of_type: dict[str, list[Record]] = {}
    for record in own:
        of_type.setdefault(record.type, []).append(record)
    own = [
        record for records in of_type.values() for record in records[: max(2, MAX_QUERIES // len(of_type))]
    ]
    kinds = sorted({record.type for record in served(see, own)})
    if len(kinds) >= 2:
        return passed(", ".join(kinds))
    missing = sorted({record.type for record in own} - set(kinds))
    said = f"served: {', '.join(kinds) or 'none'}"
    return failed(
        expected="records of at least two types other than A (CNAME, TXT, MX, SRV ...), served",
        seen=said + (f"; in the file and not served: {', '.join(missing)}" if missing else ""),
        hint="ask for each of them with dig, naming its type",
        share=len(kinds) / 2,
    )


@check("dns.reloaded", question="2d", layer="answer on the VM", after=("dns.answers",))
def reloaded(_vm: Target, see: See) -> Judgement:
    """What is served is what the zone file says now."""
    disk = see(zone_check(ZONE))
    soa = see(local("SOA"))
    mine = answered(disk.records)[:MAX_QUERIES]
    live = served(see, mine)
    stale = [record for record in mine if record not in live and record.type != "SOA"]
    numbers = [serial(record.data) for record in disk.of_type("SOA")]

    def current(answer: DnsAnswer) -> bool:
        now = serials(answer)
        ahead = disk.signs(ZONE) and bool(numbers) and bool(now) and since(numbers[0], now[0])
        return now == numbers or ahead

    when = ""
    if stale or not current(soa):
        # somebody may have typed "reload" a moment ago: BIND serves the old zone until it has the new one
        later, *others = see.all_until(
            [
                (local("SOA"), current),
                *((dns_query(one.name, one.type), partial(has, one)) for one in stale),
            ],
            within=RELOAD,
        )
        soa, when = later.value, f" ({max((later, *others), key=lambda one: one.seconds)})"
        stale = [record for record, one in zip(stale, others, strict=True) if not one.reached]
    now = serials(soa)
    if not stale and numbers and current(soa):
        return passed(f"serial {now[0]}{when}")
    said = f"serial {', '.join(now)} is served and {', '.join(numbers)} is in the file"
    if stale:
        said += f"; not served: {stale[0].name} {stale[0].type}"
    return failed(
        expected="the same serial and records in the file and in the answers",
        seen=said + when,
        hint="after a change: raise the serial, have the server reload, and ask it for the SOA record",
    )


def serials(answer: DnsAnswer) -> list[str]:
    return [serial(data) for data in answer.data("SOA")]


def since(one: str, other: str) -> bool:
    """Whether a serial is the other or was before it, in the arithmetic of RFC 1982."""
    return one.isdecimal() and other.isdecimal() and (int(other) - int(one)) % 2**32 < 2**31


def has(record: Record, answer: DnsAnswer) -> bool:
    return record.data in answer.data(record.type)


def local(kind: str) -> Request[DnsAnswer]:
    """The zone's own name, asked on the VM."""
    return dns_query(ZONE, kind)


def additions(records: Iterable[Record]) -> tuple[Record, ...]:
    """The student's own of ``records``: all but those that the lab's own file has, and db.local."""
    return tuple(
        one
        for one in records
        if (one.name, one.type) not in GIVEN
        and (one.name, one.type, one.data) != _FROM_DB_LOCAL
        and one.type not in _BY_SIGNING
    )


def answered(records: Iterable[Record]) -> list[Record]:
    """Those of a zone that its server gives as answers: what is below a delegation it refers to others, what
    is below a DNAME it looks for elsewhere, and the names of NSEC3 it denies (RFC 5155, 7.2.8).
    """
    every = list(records)
    cuts = {one.name for one in every if one.type == "NS" and one.name != APEX}
    below = cuts | {one.name for one in every if one.type == "DNAME"}
    return [
        one
        for one in every
        if one.type not in ("NSEC3", "RRSIG")
        and one.name not in cuts
        and below.isdisjoint(_parents(one.name))
    ]


def _parents(name: str) -> Iterator[str]:
    """What is behind each of a name's dots."""
    while name := name.partition(".")[2]:
        yield name


def served(see: See, records: list[Record]) -> list[Record]:
    """Those of ``records`` that the server gives on the VM, with the same data. One query for each name and
    type.
    """
    asked = list(dict.fromkeys((record.name, record.type) for record in records))[:MAX_QUERIES]
    # a delegation is told to whoever does not want it followed
    replies = see.all([dns_query(name, kind, recurse=not _delegates(name, kind)) for name, kind in asked])
    given = {
        (name, kind): {*reply.data(kind), *(_referred(reply, name) if _delegates(name, kind) else ())}
        for (name, kind), reply in zip(asked, replies, strict=True)
    }
    return [record for record in records if record.data in given.get((record.name, record.type), set())]


def _delegates(name: str, kind: str) -> bool:
    return kind == "NS" and name != APEX


def _referred(reply: DnsAnswer, name: str) -> set[str]:
    """The name servers that a referral names for ``name``."""
    return {one.data for one in reply.authority if (one.name, one.type) == (name, "NS")}


def serial(soa: str) -> str:
    """The serial in a SOA record's data."""
    fields = soa.split()
    return fields[2] if len(fields) > 2 else "?"


CHECKS = (
    package,
    config,
    active,
    enabled,
    port,
    declared,
    answers,
    apex_address,
    apex_ns,
    given_address,
    own_address,
    own_others,
    reloaded,
)
