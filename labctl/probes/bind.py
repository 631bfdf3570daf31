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
from labctl.probes.kept import kept
from labctl.probes.request import Json, Probe, Request, made_once

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
        named = re.search(r"^\s*type (\w+);", self._statement(zone), re.MULTILINE)
        return named.group(1).lower() if named else ""

    def signs(self, zone: str) -> bool:
        """Whether BIND signs the zone itself: what it serves has a serial of its own, a higher one."""
        signing = r'^\s*(?:inline-signing yes|dnssec-policy (?!"?(?:none|insecure)"?;)[^;]+);'
        return bool(re.search(signing, self._statement(zone), re.MULTILINE))

    def _statement(self, zone: str) -> str:
        """What stands in the braces of the zone's statement; "" without one."""
        pattern = rf'^(\s*)zone "{re.escape(zone)}\.?"[^\n]*\{{\n(.*?)^\1\}};'
        block = re.search(pattern, self.text, re.MULTILINE | re.DOTALL | re.IGNORECASE)
        return block.group(2) if block else ""

    def recursion_for(self) -> tuple[str, ...]:
        """Who may have names resolved: the entries of the access lists in force, named lists opened up; of
        all views together.

        BIND takes allow-recursion, else allow-query-cache, else allow-query, else its own default, each from
        the view and else from the options (its manual, 8.2.16.6).
        """
        options = "".join(re.findall(r"^options \{\n(.*?)^\};", self.text, re.MULTILINE | re.DOTALL))
        views = re.findall(r"^view [^\n]*\{\n(.*?)^\};", self.text, re.MULTILINE | re.DOTALL)
        found: list[str] = []
        for view in views or [""]:
            if (_said("recursion", view, options) or "yes") in ("no", "false", "0"):
                continue
            lists = (_said(name, view, options) for name in _ALLOWING)
            allowed = next((self._entries(one) for one in lists if one is not None), _BY_DEFAULT)
            clients = _said("match-clients", view)
            if "any" in allowed and clients is not None:
                allowed = self._entries(clients)  # nobody else gets to this view
            found += allowed
        return tuple(dict.fromkeys(found))

    def _entries(self, body: str, depth: int = 0) -> tuple[str, ...]:
        entries: list[str] = []
        # a list that is denied lets nobody in, whatever it holds; any other is as if its entries stood there
        body = _DENIED.sub("", body).replace("\n", " ")
        for word in (part.strip(" \t{}").replace('"', "") for part in body.split(";")):
            named = re.search(rf'^acl "{re.escape(word)}" \{{(.*?)^\}};', self.text, re.MULTILINE | re.DOTALL)
            if named and depth < 5:
                entries.extend(self._entries(named.group(1), depth + 1))
            elif word:
                entries.append(word)
            if word in ("any", "!any", "none", "!none"):
                break  # everybody has met an entry by now
        return tuple(entries)


_DENIED = re.compile(r"^([ \t]*)!\{\n.*?^\1\};$", re.MULTILINE | re.DOTALL)
_ALLOWING = ("allow-recursion", "allow-query-cache", "allow-query")
_BY_DEFAULT = ("localnets", "localhost")


def _said(name: str, *blocks: str) -> str | None:
    """A statement's value in the first of the blocks that has it: of a list what stands in its braces."""
    for block in blocks:
        found = re.search(rf"^\t{name} (?:\{{\n(.*?)^\t\}}|([^;{{]*));", block, re.MULTILINE | re.DOTALL)
        if found:
            return found.group(1) or found.group(2) or ""
    return None


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
    return normal(kind, data.to_text())


BIND = Probe("bind", Bind, interpret)


@made_once
def zone_check(zone: str) -> Request[Bind]:
    """The whole configuration checked, and one zone of it: its file, whether it loads, its records."""
    return Request(BIND, {"zone": zone}, deadline=60.0)
