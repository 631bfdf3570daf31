"""Ansible's host patterns: ``web:&staging:!old``, globs, and ``user@host[:port]``."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from labctl.documents import nearest
from labctl.errors import UnknownHost
from labctl.inventory.model import Host, Inventory

_DIRECT = re.compile(r"^(?P<user>[^@\s:]+)@(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:@/]+)(?::(?P<port>\d{1,5}))?$")


def select(inventory: Inventory, patterns: Sequence[str]) -> tuple[Host, ...]:
    """See :meth:`Inventory.select`."""
    direct: list[Host] = []
    names: set[str] = set()
    for pattern in patterns:
        match = _DIRECT.match(pattern)
        if match:
            direct.append(_direct_host(inventory, match))
        else:
            names |= _pattern(inventory, pattern)
    chosen = [host for name, host in inventory.hosts.items() if name in names]
    return tuple(chosen + [host for host in direct if host.name not in names])


def _direct_host(inventory: Inventory, match: re.Match[str]) -> Host:
    address = match["host"].strip("[]")
    variables: dict[str, object] = {"ansible_host": address, "ansible_user": match["user"]}
    if match["port"]:
        variables["ansible_port"] = int(match["port"])
    for host in inventory.hosts.values():
        # The same machine under its inventory name: keep its variables, connect as asked.
        if address in (host.name, host.address) and (not match["port"] or int(match["port"]) == host.port):
            return Host(host.name, {**host.variables, "ansible_user": match["user"]}, host.groups)
    return Host(address, variables)


def _pattern(inventory: Inventory, pattern: str) -> set[str]:
    parts = [part for part in re.split(r"[:,](?![^\[]*\])", pattern) if part]
    if not parts:
        raise UnknownHost("an empty host pattern")
    joined = [part for part in parts if part[0] not in "!&"]
    # Ansible's order, whatever the order written: unions, then intersections, then exclusions.
    # A pattern of exclusions alone starts from all hosts.
    chosen: set[str] = set() if joined else set(inventory.hosts)
    for part in joined:
        chosen |= _term(inventory, part)
    for part in parts:
        if part[0] == "&":
            chosen &= _term(inventory, part[1:])
    for part in parts:
        if part[0] == "!":
            chosen -= _term(inventory, part[1:])
    return chosen


def _term(inventory: Inventory, term: str) -> set[str]:
    if term in ("all", "*"):
        return set(inventory.hosts)
    if term in inventory.hosts:
        return {term}
    if term in inventory.groups:
        return set(inventory.groups[term].hosts)
    found: set[str] = set()
    if any(letter in term for letter in "*?["):
        found = set(fnmatch.filter(inventory.hosts, term))
        for name in fnmatch.filter(inventory.groups, term):
            found |= set(inventory.groups[name].hosts)
    if not found:
        raise _unknown(inventory, term)
    return found


def _unknown(inventory: Inventory, term: str) -> UnknownHost:
    near = nearest(term, [*inventory.hosts, *inventory.groups])
    where = f" in {inventory.path}" if inventory.path else ""
    if not inventory.hosts:
        return UnknownHost(
            f"no host or group is called {term!r}: there is no inventory",
            hint="give one with -i FILE, name the VM as user@host, or start the sandbox: labctl sandbox up",
        )
    hint = f"did you mean {near}?" if near else "labctl hosts list shows what there is"
    return UnknownHost(f"no host or group{where} is called {term!r}", hint=hint)
