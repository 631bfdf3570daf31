"""Ansible's host patterns: ``web:&staging:!old`` and globs."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from labctl.documents import nearest
from labctl.errors import UnknownHost


def matching(
    pattern: str, hosts: Iterable[str], groups: Mapping[str, tuple[str, ...]], path: Path | None = None
) -> set[str]:
    """The names of the hosts that ``pattern`` names; ``groups`` maps a group's name to its hosts' names.

    Raises :class:`UnknownHost`, with the nearest name, for a part that names nothing.
    """
    parts = [part for part in re.split(r"[:,](?![^\[]*\])", pattern) if part]
    if not parts:
        raise UnknownHost("an empty host pattern")
    names = tuple(hosts)
    terms = {part: _term(part.lstrip("!&"), names, groups, path) for part in parts}
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


def _term(
    term: str, hosts: tuple[str, ...], groups: Mapping[str, tuple[str, ...]], path: Path | None
) -> set[str]:
    if term in ("all", "*"):
        return set(hosts)
    if term in hosts:
        return {term}
    if term in groups:
        return set(groups[term])
    found: set[str] = set()
    if any(letter in term for letter in "*?["):
        found = set(fnmatch.filter(hosts, term))
        for name in fnmatch.filter(groups, term):
            found |= set(groups[name])
    if not found:
        raise _unknown(term, hosts, groups, path)
    return found


def _unknown(
    term: str, hosts: tuple[str, ...], groups: Mapping[str, tuple[str, ...]], path: Path | None
) -> UnknownHost:
    if not hosts:
        return UnknownHost(
            f"no host or group is called {term!r}: there is no inventory",
            hint="give one with -i FILE, name the VM as user@host, or start the sandbox: labctl sandbox up",
        )
    near = nearest(term, [*hosts, *groups])
    where = f" in {path}" if path else ""
    hint = f"did you mean {near}?" if near else "labctl hosts list shows what there is"
    return UnknownHost(f"no host or group{where} is called {term!r}", hint=hint)
