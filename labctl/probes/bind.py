"""BIND's configuration and a zone as they stand on disk."""

from __future__ import annotations

import re
from dataclasses import dataclass

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from labctl.probes.decoding import decode
from labctl.probes.dns import Record, normal
from labctl.probes.request import Json, Probe, Request

#: $GENERATE makes many.
MOST_IN_A_ZONE = 2000


@dataclass(frozen=True)
class Bind:
    """``text`` is the configuration in named-checkconf's normal form ("" when it is not valid).

    ``zone_file`` is "" when the zone is not declared; ``records`` are the zone's on disk, empty when it does
    not load.
    """

    installed: bool
    config: str
    config_valid: bool
    config_message: str
    text: str
    zone_file: str
    zone_valid: bool
    zone_message: str
    records: tuple[Record, ...]

    def of_type(self, kind: str) -> tuple[Record, ...]:
        return tuple(record for record in self.records if record.type == kind)

    def zone_type(self, zone: str) -> str:
        """The ``type`` of the zone statement: "master" and "primary" are the same; "" without the zone."""
        pattern = rf'^(\s*)zone "{re.escape(zone)}\.?"[^\n]*\{{\n(.*?)^\1\}};'
        block = re.search(pattern, self.text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
        named = re.search(r"^\s*type (\w+);", block.group(2), re.MULTILINE) if block else None
        return named.group(1).lower() if named else ""

    def option(self, name: str) -> str | None:
        """The value of a statement in the ``options`` block, blanks folded; None when it is not there."""
        block = re.search(r"^options \{\n(.*?)^\};", self.text, re.MULTILINE | re.DOTALL)
        if not block:
            return None
        found = re.search(
            rf"^\s*{re.escape(name)} (\{{.*?^\s*\}}|[^;]*);", block.group(1), re.MULTILINE | re.DOTALL
        )
        return " ".join(found.group(1).split()) if found else None

    def recursion_for(self) -> tuple[str, ...]:
        """Who may have names resolved: the entries of the access list in force, named lists opened up.

        BIND takes allow-recursion, else allow-query-cache, else allow-query, else its own default.
        """
        if (self.option("recursion") or "yes") in ("no", "false", "0"):
            return ()
        for name in ("allow-recursion", "allow-query-cache", "allow-query"):
            # a view's own statement counts too, and the widest is what the world gets
            found = re.findall(rf"^\s*{name} \{{(.*?)^\s*\}};", self.text, re.MULTILINE | re.DOTALL)
            inside = [self._entries(body) for body in found] if name != "allow-query" else []
            option = self.option(name)
            if option is not None and not inside:
                inside = [self._entries(option.strip("{} "))]
            if inside:
                return tuple(dict.fromkeys(entry for entries in inside for entry in entries))
        return ("localnets", "localhost")

    def _entries(self, body: str, depth: int = 0) -> tuple[str, ...]:
        entries: list[str] = []
        for word in (part.strip().strip('"') for part in body.replace("\n", " ").split(";")):
            named = re.search(rf'^acl "{re.escape(word)}" \{{(.*?)^\}};', self.text, re.MULTILINE | re.DOTALL)
            if named and depth < 5:
                entries.extend(self._entries(named.group(1), depth + 1))
            elif word:
                entries.append(word)
        return tuple(entries)


@dataclass(frozen=True)
class _Told:
    installed: bool
    config: str
    config_valid: bool
    config_message: str
    text: str
    zone_file: str
    zone_valid: bool
    zone_message: str
    records: str


def interpret(data: Json) -> Bind:
    told = decode(_Told, data)
    return Bind(
        installed=told.installed,
        config=told.config,
        config_valid=told.config_valid,
        config_message=told.config_message,
        text=told.text,
        zone_file=told.zone_file,
        zone_valid=told.zone_valid,
        zone_message=told.zone_message,
        records=records_of(told.records),
    )


def records_of(text: str) -> tuple[Record, ...]:
    """The lines of named-compilezone: name, TTL, class, type, data. Lines that are none are left out."""
    found = []
    for line in text.splitlines():
        fields = line.split(None, 4)
        if len(fields) != 5 or not re.fullmatch("[0-9]{1,10}", fields[1]) or fields[2] != "IN":
            continue
        try:
            kind = dns.rdatatype.from_text(fields[3])
            data = dns.rdata.from_text(
                dns.rdataclass.IN, kind, fields[4], origin=dns.name.root, relativize=False
            )
        except (dns.exception.DNSException, ValueError):
            continue
        found.append(Record(fields[0].lower(), fields[3], normal(fields[3], data.to_text()), int(fields[1])))
        if len(found) == MOST_IN_A_ZONE:
            break
    return tuple(found)


BIND = Probe("bind", Bind, interpret)


def zone_check(zone: str) -> Request[Bind]:
    """The whole configuration checked, and one zone of it: its file, whether it loads, its records."""
    return Request(BIND, {"zone": zone}, deadline=60.0)
