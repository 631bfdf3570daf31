"""Records as people write them: lines of a zone file, without the file."""

from __future__ import annotations

import re

import dns.exception
import dns.name
import dns.rdatatype
import dns.zonefile

from labctl.probes.dns import MAX_RECORDS, Record, normal

#: Seconds that a record without a time to live is given; it plays no part where records are compared.
_TTL = 3600
_REMARK = re.compile("#|//")
_DIRECTIVE = re.compile(r"\$\w+")
#: Lines that are read as records: dnspython takes its time for each, and a student adds a handful.
_MOST_LINES = 400
#: Letters of a name. The dots and letters that IDNA makes of others take time by the square of their number.
_LONGEST_NAME = 255
#: What may be the type WKS, and of what dnspython 2.6 makes a map of bits as long as a number says.
_MAYBE_WKS = re.compile(r"\b(?:WKS|TYPE\d+)\b", re.IGNORECASE)
_NO_PORT = re.compile(r"\d{6}|\\")


def record_type(word: str) -> str:
    """The name of a type of record ("txt" -> "TXT", "ixfr=7" -> "IXFR"); "" for another word."""
    try:
        return dns.rdatatype.to_text(dns.rdatatype.from_text(word.partition("=")[0]))
    except (dns.exception.DNSException, ValueError):
        return ""


def read_records(text: str, zone: str) -> tuple[list[Record], list[str]]:
    """The records that lines of a zone file declare, and the lines that declare none.

    Comments, headings and directives are passed over, and no file is opened: ``$INCLUDE`` and ``$GENERATE``
    do nothing. A line without a name has that of the line before. Lines beyond the first hundreds, and what
    dnspython would take seconds for, declare none.
    """
    origin = dns.name.from_text(zone)
    records: list[Record] = []
    strange: list[str] = []
    owner = origin.to_text()
    tried = 0
    for line in _logical_lines(text):
        if _DIRECTIVE.match(line.strip()) or line.endswith(":"):
            continue
        tried += 1
        found = _records(line, owner, origin) if tried <= _MOST_LINES and _in_bounds(line) else []
        if found:
            owner = found[-1].name
            records += found
        else:
            strange.append(line.strip())
    return records[:MAX_RECORDS], strange


def _records(line: str, owner: str, origin: dns.name.Name) -> list[Record]:
    """One line's records; one that was indented for its looks is read as a line with a name."""
    tries = [f"{owner} {line.strip()}", line.strip()] if line[:1].isspace() else [line]
    for one in tries:
        try:
            rrsets = dns.zonefile.read_rrsets(one, origin=origin, rdclass=None, default_ttl=_TTL)
        except (dns.exception.DNSException, ValueError, KeyError, IndexError, AttributeError, TypeError):
            continue
        if rrsets:
            return [
                Record(rrset.name.to_text().lower(), kind, normal(kind, item.to_text()), int(rrset.ttl))
                for rrset in rrsets
                for kind in [dns.rdatatype.to_text(rrset.rdtype)]
                for item in rrset
            ]
    return []


def _in_bounds(line: str) -> bool:
    """Whether dnspython reads it in no time."""
    if not line.isascii() and any(len(one) > _LONGEST_NAME and not one.isascii() for one in line.split()):
        return False
    return not (_NO_PORT.search(line) and any(record_type(one) == "WKS" for one in _MAYBE_WKS.findall(line)))


def _logical_lines(text: str) -> list[str]:
    """Lines without comments and empty ones, with what stands in parentheses on one line."""
    lines: list[str] = []
    depth = 0
    for raw in text.split("\n"):
        line = _without_comment(raw).rstrip()
        if depth and lines:
            lines[-1] += " " + line.strip()
        elif line.strip():
            lines.append(line)
        depth = max(0, depth + line.count("(") - line.count(")"))
    return lines


def _without_comment(line: str) -> str:
    """``;`` begins a comment; ``#`` and ``//`` after a space do for people."""
    quoted = False
    for at, letter in enumerate(line):
        if letter == '"' and line[at - 1 : at] != "\\":
            quoted = not quoted
        elif not quoted and (
            letter == ";" or (_REMARK.match(line, at) and (not at or line[at - 1].isspace()))
        ):
            return line[:at]
    return line
