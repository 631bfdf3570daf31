"""Ansible's host patterns.

A pattern is a host, a group, ``all``, a glob or a regular expression (``~web\\d+``), several of these joined
by ``:`` or ``,`` with ``!`` (but not) and ``&`` (and also). All but the regular expression may choose from
what they name, both ends included: ``web[0]``, ``web[-1]``, ``web[1:3]``, ``web[2:]``.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence

from labctl.documents import did_you_mean
from labctl.errors import UnknownHost
from labctl.inventory.names import is_one_host

_SUBSCRIPT = re.compile(r"(?P<term>.+)\[(?:(?P<index>-?\d+)|(?P<first>\d+)[:-](?P<last>\d*))\]")
_JOINED = re.compile(r"(?:[^\s:\[\]]|\[[^\]]*\])+")
_GLOB = ".?*["
_NO_INVENTORY = "give one with -i FILE, name the VM as user@host, or start the sandbox: labctl sandbox up"

Groups = Mapping[str, tuple[str, ...]]


def matching(
    pattern: str, hosts: Iterable[str], groups: Groups, inventory: str = "", *, strict: bool = True
) -> set[str]:
    """The names of the hosts that ``pattern`` names; ``groups`` maps a group's name to its hosts' names.

    Raises :class:`UnknownHost`, with the nearest name, for a part that names nothing; without ``strict``
    such a part is passed over, as Ansible does for a play's ``hosts``.
    """
    names = tuple(hosts)
    if pattern in names:  # whatever its letters mean in patterns
        return {pattern}
    parts = _split(pattern)
    if not parts:
        raise UnknownHost("an empty host pattern")
    terms: dict[str, set[str]] = {}
    for part in parts:
        term = part if part in names else part.lstrip("!&")
        found = _term(term, names, groups)
        if not found and strict and term not in groups:
            raise _unknown(term, names, groups, inventory)
        terms[part] = set(found)
    joined = [part for part in parts if part[0] not in "!&"]
    # Ansible's order, whatever the order written: unions, then intersections, then exclusions.
    # A pattern of exclusions alone starts from all hosts.
    chosen: set[str] = set() if joined else set(names)
    for part in joined:
        chosen |= terms[part]
    for part in parts:
        if part[0] == "&":
            chosen &= terms[part]
    for part in parts:
        if part[0] == "!":
            chosen -= terms[part]
    return chosen


def _split(pattern: str) -> list[str]:
    if "," in pattern:
        parts = pattern.split(",")
    elif is_one_host(pattern):
        parts = [pattern]
    else:
        parts = _JOINED.findall(pattern)
    return [part.strip() for part in parts if part.strip()]


def _term(term: str, hosts: tuple[str, ...], groups: Groups) -> list[str]:
    """The hosts that one part names, in order."""
    if term in hosts:
        return [term]
    subscript = None if term.startswith("~") else _SUBSCRIPT.fullmatch(term)
    if subscript is None:
        return _named(term, hosts, groups)
    found = _named(subscript["term"], hosts, groups)
    if subscript["index"] is not None:
        index = int(subscript["index"])
        if found and not -len(found) <= index < len(found):
            raise UnknownHost(f"{term!r} names none of the {len(found)} hosts of {subscript['term']!r}")
        return [found[index]] if found else []
    # As in Ansible: with no second end, or 0 for it, the rest and the first one.
    first, last = int(subscript["first"]), subscript["last"]
    if last and int(last) == 0:
        return found[first : first + 1]
    return found[first : int(last) + 1 if last else None]


def _named(term: str, hosts: tuple[str, ...], groups: Groups) -> list[str]:
    if term == "all":
        return list(hosts)
    if term.startswith("~"):
        try:
            wanted = re.compile(term[1:])
        except re.error as err:
            raise UnknownHost(f"{term!r} is not a regular expression: {err}") from err
    else:
        wanted = re.compile(fnmatch.translate(term))
    matched = [name for name in groups if wanted.match(name)]
    found = [host for name in matched for host in groups[name]]
    if not matched or term.startswith("~") or any(letter in term for letter in _GLOB):
        found += [host for host in hosts if wanted.match(host)]
    return found


def nobody(patterns: Sequence[str], inventory: str) -> UnknownHost:
    """The error for patterns whose names are all known, and that come to no host."""
    named = " ".join(patterns)
    if not inventory:
        return UnknownHost(f"{named} names no VM: there is no inventory", hint=_NO_INVENTORY)
    return UnknownHost(f"{named} names no VM in {inventory}", hint="labctl hosts list shows what there is")


def _unknown(term: str, hosts: tuple[str, ...], groups: Groups, inventory: str) -> UnknownHost:
    if not hosts:
        return UnknownHost(f"no host or group is called {term!r}: there is no inventory", hint=_NO_INVENTORY)
    where = f" in {inventory}" if inventory else ""
    hint = did_you_mean(term, [*hosts, *groups], "labctl hosts list shows what there is")
    return UnknownHost(f"no host or group{where} is called {term!r}", hint=hint)
