"""BIND's configuration and a zone as they stand on disk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from labctl.agent.remote.probes import bind as wire
from labctl.agent.remote.probes.access import Configuration
from labctl.probes.decoding import at_most, decode
from labctl.probes.dns import Record, normal, text_of
from labctl.probes.kept import kept
from labctl.probes.request import Json, Probe, Request, made_once
from labctl.probes.strangers import Strangers, strangers

#: $GENERATE makes many.
MOST_IN_A_ZONE = 2000
#: Lines that are looked at for them, and the words in these: dnspython takes some microseconds for each.
_MOST_LINES, _MOST_WORDS = 2 * MOST_IN_A_ZONE, 20 * MOST_IN_A_ZONE


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

    @property
    def configuration(self) -> Configuration:
        return _configuration(self.text)

    def zone_type(self, zone: str) -> str:
        """The ``type`` of the zone statement: "master" and "primary" are the same; "" without the zone."""
        found = self.configuration.zone(zone)
        return self.configuration.stated("type", found).lower() if found else ""

    def strangers(self, at: Sequence[str]) -> Strangers:
        """Whom of the world it resolves names for; ``at``: the machine's addresses."""
        return strangers(self.configuration, at)

    def recursion_for(self) -> tuple[str, ...]:
        """The entries, as they are written, of the lists that say whose names are resolved."""
        return self.configuration.asked()

    def signs(self, zone: str) -> bool:
        """Whether BIND signs the zone itself: what it serves has a serial of its own, a higher one."""
        found = self.configuration.zone(zone)
        policy = self.configuration.inherited("dnssec-policy", found)
        inline = self.configuration.stated("inline-signing", found) if found else ""
        return found is not None and (inline == "yes" or policy not in ("", "none", "insecure"))


# every check of the zone asks what it says, and a class's configurations are much the same
@kept(most=64, small=65536)
def _configuration(text: str) -> Configuration:
    return Configuration(text)


@dataclass(frozen=True)
class _Told:
    installed: bool
    config: str
    config_valid: bool
    config_message: str
    text: Annotated[str, at_most(wire.TEXT_CAP)]
    zone_file: str
    zone_valid: bool
    zone_message: str
    records: Annotated[str, at_most(wire.TEXT_CAP)]


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
    """The lines of named-compilezone: name, TTL, class, type, data. Lines that are none are left out, and
    those with other letters than ASCII: it writes none, and IDNA takes time by the square of a name's length.
    """
    found = []
    room = _MOST_WORDS
    for line in filter(str.isascii, text.splitlines()[:_MOST_LINES]):
        room -= line.count(" ") + line.count("\t") + line.count('"')
        if room < 0:
            break
        fields = line.split(None, 4)
        if len(fields) != 5 or not re.fullmatch("[0-9]{1,10}", fields[1]) or fields[2] != "IN":
            continue
        data = _data(fields[3], fields[4])
        if data is None or not _is_name(fields[0]):
            continue
        found.append(Record(fields[0].lower(), fields[3], data, int(fields[1])))
        if len(found) == MOST_IN_A_ZONE:
            break
    return tuple(found)


# most records of a class's zones are the lab's own
@kept(most=512, small=256)
def _is_name(text: str) -> bool:
    """Whether it can be asked for: an agent that was tampered with may say anything."""
    try:
        dns.name.from_text(text)
    except (dns.exception.DNSException, ValueError):
        return False
    return True


@kept(most=512, small=256)
def _data(kind: str, text: str) -> str | None:
    """A record's data in the form that compares; None for what is no data of this type."""
    try:
        data = dns.rdata.from_text(
            dns.rdataclass.IN, dns.rdatatype.from_text(kind), text, origin=dns.name.root, relativize=False
        )
    except (dns.exception.DNSException, ValueError):
        return None
    return normal(kind, text_of(data))


BIND = Probe("bind", Bind, interpret)


@made_once
def zone_check(zone: str) -> Request[Bind]:
    """The whole configuration checked, and one zone of it: its file, whether it loads, its records."""
    return Request(BIND, {"zone": zone}, deadline=60.0)
