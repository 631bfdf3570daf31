"""Question 2, what is written down: commands for the DNS server, its records, and the resolver in use."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from fnmatch import fnmatch

from labctl.grading import Judgement, See, Target, failed, passed
from labctl.grading.answers import (
    ASKING,
    Command,
    Query,
    SystemctlCommand,
    Unreadable,
    addresses_in,
    answer,
    commands_of,
    doubtful,
    find_ideas,
    in_own_words,
    read_commands,
    read_queries,
    read_systemctl,
    records_of,
    without_marks,
    written,
)
from labctl.probes import Record, addresses, dns_query, read_records, resolvers, zone_check

from .facts import ZONE, answer_of
from .zone import additions, answered

_UNITS = frozenset({"bind9.service", "named.service"})
#: Letters of a unit's name; fnmatch takes time by the square of a pattern's length.
_LONGEST_UNIT = 255
#: States of units that the DNS server's has while it runs.
_RUNNING = frozenset({"loaded", "active", "running"})
_STATES = frozenset({"ActiveState", "SubState"})
#: Verbs of systemctl that say whether a unit runs.
_LOOKING = frozenset({"status", "is-active", "check", "is-failed", "show", "list-units"})
#: What a shell would put other words in the place of.
_EXPANDED = re.compile(r"[${*]")
_SERVER = re.compile(r"SERVER:.*")
#: Records in an answer that are asked for; a student adds a handful.
MAX_RECORDS = 20


@answer("2a", read=commands_of)
def status_command(_vm: Target, _see: See, text: str) -> Judgement:
    """You know the command that shows whether the DNS server runs."""
    commands = read_commands(text)
    found = [one for one in commands if one.name == "systemctl"]
    if not found:
        seen = f"{commands[0].name} is another command" if commands else "there is no command here"
        raise Unreadable(f"{seen}; a systemctl command is asked for")
    said = [read_systemctl(one) for one in found]
    if _lists(said[0]) and not _hidden(said[0]) and any(map(_picks, commands)):
        return passed(f"{found[0]}, and its line there")
    hints = [_wrong_status(one) for one in said]
    if not all(hints):
        return passed(str(found[hints.index("")]))
    return failed(
        expected="a systemctl command that shows its state",
        seen=str(found[0]),
        hint=hints[0],
        for_staff=_lists(said[0]) or bool(_EXPANDED.search(text)),
    )


def _lists(said: SystemctlCommand) -> bool:
    """Lists all units: the DNS server's line is among them."""
    return said.verb in ("", "list-units") and not said.units and said.manager == "system"


def _hidden(said: SystemctlCommand) -> str:
    """The first type or state, when the DNS server's unit is of none of those that are shown; else ""."""
    if said.types and "service" not in said.types:
        return said.types[0]
    return said.states[0] if said.states and not _RUNNING & set(said.states) else ""


def _picks(command: Command) -> bool:
    """Shows the DNS server's line of those that it is given."""
    without = command.name.endswith("grep") and any(
        one == "--invert-match" or (re.fullmatch("-[a-zA-Z]+", one) and "v" in one) for one in command.args
    )
    return not without and bool(re.search(r"bind|named", " ".join(command.args)))


def _wrong_status(said: SystemctlCommand) -> str:
    """A hint; "" when the command is right."""
    if said.verb not in _LOOKING:
        return (
            f"`systemctl {said.verb}` does not tell whether a unit runs: which of its verbs only looks?"
            if said.verb
            else "this lists every unit: which verb is about one of them?"
        )
    if said.manager != "system":
        return "the DNS server is a unit of the system, not of your user"
    if not said.units:
        return "of which unit? The command names none"
    patterns = [one.lower() for one in said.units if len(one) <= _LONGEST_UNIT]
    if not any(fnmatch(unit, one) for one in patterns for unit in _UNITS):
        return f"{said.units[0]} is not the DNS server's unit: what is the service called?"
    if _hidden(said):
        return f"it shows nothing but what is {_hidden(said)}: is that the DNS server?"
    if said.verb == "show" and said.properties and not _STATES & set(said.properties):
        return "these properties do not tell whether it runs"
    return ""


@answer("2b")
def why_it_works(_vm: Target, see: See, text: str) -> Judgement:
    """You can say why dig works without your server."""
    found = see(resolvers())
    behind = f" (which asks {', '.join(found.behind[:3])})" if found.behind else ""
    return in_own_words(
        find_ideas(text, answer_of("2b")), f"resolv.conf names {', '.join(found.configured)}{behind}"
    )


@answer("2c")
def resolver(_vm: Target, see: See, text: str) -> Judgement:
    """You know which DNS server your VM asks."""
    found = see(resolvers())
    used = {one.partition("%")[0] for one in (*found.configured, *found.behind)}
    # dig's own words, where they are among others
    copied = addresses_in("\n".join(_SERVER.findall(text)))
    said = copied or addresses_in(text)
    if said and set(said) <= used:
        return passed(", ".join(said), for_staff=not copied and doubtful(text))
    if not said:
        return failed(
            expected="the address of a DNS server",
            seen="no address",
            hint="dig prints the address of the server that answered, near the end of its output",
            for_staff=True,
        )
    return failed(
        expected="an address of a server that your VM uses",
        seen=f"{', '.join(one for one in said if one not in used)} is none of them",
        hint="ask with dig on the VM itself, without @, and look at the lines that begin with ;;",
        share=0.5 if set(said) & used else 0.0,
        for_staff=bool(set(said) & used),
    )


@answer("2d", after=("dns.answers",), read=records_of)
def records(_vm: Target, see: See, text: str) -> Judgement:
    """The records that you say you added are served."""
    own, strange = added(text)
    if not own:
        return failed(
            expected="lines of a zone file",
            seen=f"{strange[0]!r} is no record" if strange else "only records that the lab gives",
            hint="copy the lines that you added to the zone's file: name, type and data of each",
            for_staff=bool(strange),
        )
    live = _live(own, see)
    missing = [one for one in own if one not in live]
    kinds = {one.type for one in live}
    # the lab asks for an address and for two records of other types
    parts = int("A" in kinds) + min(2, len(kinds - {"A"}))
    if not missing and parts == 3:
        return passed(", ".join(f"{one.name} {one.type}" for one in live[:6]))
    if missing:
        seen = f"not served: {missing[0].name} {missing[0].type} {missing[0].data}"
        hint = "ask your server for that record: does the answer say what you wrote down?"
    else:
        seen = f"served: {', '.join(sorted(kinds))}"
        hint = "the lab asks for an A record and for a couple of other types: write all of them down"
    return failed(
        expected="an A record and two of other types, each as your server gives it",
        seen=seen,
        hint=hint,
        share=min(0.99, parts / 3 * len(live) / len(own)),
        for_staff=bool(strange),
    )


@answer("2e", read=commands_of)
def query_commands(vm: Target, see: See, text: str) -> Judgement:
    """Your commands ask your own server for those records."""
    own, strange = added(records_of(see(written("2d")).text))
    if not own:
        return failed(
            expected="commands for the records of question 2d",
            seen="there are no records in 2d",
            hint="answer 2d first: these commands ask for what you added there",
            for_staff=bool(strange),
        )
    queries: list[Query] = []
    odd: list[Unreadable] = []
    for command in read_commands(text):
        try:
            queries += read_queries(command) if command.name in ASKING else ()
        except Unreadable as err:
            odd.append(err)
    if odd and not queries:
        raise odd[0]
    if not queries:
        raise Unreadable("there is no dig, host or nslookup command here")
    here = _own_names(vm, see)
    local = [one for one in queries if one.server in here and one.port in (53, vm.port(53))]
    wanted = list(dict.fromkeys((one.name, one.type) for one in own))
    asked = dict.fromkeys(local)
    missing = [one for one in wanted if not _is_asked(*one, asked)]
    if not missing:
        return passed(f"{len(local)} queries, {len(wanted)} names and types")
    name, kind = missing[0]
    elsewhere = [one for one in queries if one not in asked]
    if elsewhere and elsewhere[0].server in here:
        hint = "your server is asked on another port than its own"
    elif elsewhere:
        server = elsewhere[0].server or "the VM's usual resolver"
        hint = f"{server} is asked there; which part of the command names the server?"
    elif any(f"{one.name}." == name for one in local):
        hint = "the name is asked for and its type is not: without a type dig asks for an address"
    else:
        hint = "a name is asked for as it stands: does the command name all of it, the zone too?"
    return failed(
        expected="for each record of 2d a command that asks your own server for it",
        seen=f"nothing asks for {name} {kind}",
        hint=hint,
        share=min(0.99, 1 - len(missing) / len(wanted)),
        for_staff=bool(odd or strange or _EXPANDED.search(text)),
    )


def added(text: str) -> tuple[list[Record], list[str]]:
    """The records in an answer without those of the lab's own file, and the lines that are none."""
    found, strange = read_records(text, ZONE)
    return list(dict.fromkeys(replace(one, ttl=0) for one in additions(found)))[:MAX_RECORDS], strange


def _live(own: list[Record], see: See) -> list[Record]:
    """Those that are served as they are written, or as they were meant where the dot at a full name's end was
    left out. What is delegated the server refers to others: it counts when it is in the zone's file.
    """
    disk = see(zone_check(ZONE)).records
    here = answered([*own, *disk])
    # all at once: each look at the VM is a round trip
    asked = [(one, name) for one in own if one in here for name in sorted({one.name, _undoubled(one.name)})]
    replies = see.all([dns_query(name, one.type) for one, name in asked])
    given: dict[Record, list[str]] = {one: [other.data for other in disk if _same(one, other)] for one in own}
    given |= {one: [] for one, _ in asked}
    for (one, _), reply in zip(asked, replies, strict=True):
        given[one] += reply.data(one.type)
    return [one for one in own if _says(one, given[one])]


def _same(one: Record, other: Record) -> bool:
    return (one.name, one.type) == (other.name, other.type)


def _says(record: Record, given: list[str]) -> bool:
    """Whether the record's data are given, but for what copying does to a text."""
    data = {record.data, _undoubled(record.data), _elsewhere(record.data), record.data.replace("'", "")}
    plain = {_plain(one) for one in data} if record.type == "TXT" else set()
    return any(one in data or (plain and _plain(one) in plain) for one in given)


def _plain(data: str) -> str:
    """A TXT's data without backquotes, and with a word processor's signs as they were typed."""
    octets = re.sub(r"\\(\d{3})", lambda found: chr(int(found[1]) & 255), data)
    return without_marks(octets.encode("latin-1", "replace").decode("utf-8", "replace"))


def _undoubled(text: str) -> str:
    """A name to which the zone was added although it stood there, without the second one."""
    return re.sub(rf"(^|[.\s]){re.escape(f'{ZONE}.{ZONE}.')}$", rf"\g<1>{ZONE}.", text)


def _elsewhere(text: str) -> str:
    """A name of another zone to which this one was added, without it."""
    rest = text.removesuffix(f".{ZONE}.")
    name = rest.rpartition(" ")[2]
    return f"{rest}." if rest != text and "." in name[1:-1] else text


def _own_names(vm: Target, see: See) -> set[str]:
    """The names and addresses under which a student asks their own VM."""
    own = see(addresses())
    names = {"localhost", "127.0.0.1", "::1", "127.0.1.1", "0.0.0.0", vm.lab_fqdn, vm.lab_address}  # noqa: S104
    names |= {
        "127.1",
        "ip6-localhost",
        "ip6-loopback",
        own.hostname.lower(),
        own.fqdn.lower(),
        *own.addresses,
    }
    return names - {""}


def _is_asked(name: str, kind: str, queries: Iterable[Query]) -> bool:
    """Whether one of the queries shows the record."""
    names = (name, _undoubled(name))
    return any(_asks(query, names, kind) for query in queries)


def _asks(query: Query, names: tuple[str, ...], kind: str) -> bool:
    """Whether a query shows the record of these names: by its type, by all types, or, for an alias, by an
    address.
    """
    if query.type == "AXFR":
        return f"{query.name}." == f"{ZONE}."
    full = f"{query.name}." if query.complete else f"{query.name.removesuffix('.' + ZONE)}.{ZONE}."
    shown = full in names or (names[0].startswith("*.") and full.endswith(names[0][1:]))
    return shown and (query.type in (kind, "ANY") or (kind == "CNAME" and query.type in ("A", "AAAA")))


CHECKS = (status_command, why_it_works, resolver, records, query_commands)
