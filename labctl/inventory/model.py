"""A host, a group, an inventory."""

from __future__ import annotations

import contextlib
import ipaddress
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from labctl.documents import Verbatim
from labctl.errors import InventoryError, RequestError, UnknownHost
from labctl.inventory.names import check_host
from labctl.inventory.patterns import matching, nobody
from labctl.inventory.vars_files import Layers, VarsDirectory
from labctl.whoami import login_name

_DIRECT = re.compile(r"^(?P<user>[^@\s:]+)@(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:@/]+)(?::(?P<port>\d{1,5}))?$")
_WITH_PORT = re.compile(r"(?P<host>\[[^\]]+\]|[^:]+):\d+$")

#: What ansible_connection may be; smart and paramiko are ssh to Ansible too.
_CONNECTIONS = frozenset({"ssh", "smart", "paramiko", "paramiko_ssh", "local"})


@dataclass(frozen=True)
class Host:
    """One machine. ``variables`` are its groups' and its own, already merged in Ansible's order.

    ``groups`` are the names of all groups it is in, directly or not, without ``all``, those whose
    variables win last. ``layers`` are the variables before they were merged (None: they are the host's
    own). ``file`` is the inventory file that names it first.
    """

    name: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    layers: Layers | None = field(default=None, repr=False, compare=False)
    file: Path | None = None

    def beside(self, directory: VarsDirectory) -> Host:
        """The host as playbooks in ``directory`` see it: with the group_vars and host_vars there.

        Raises :class:`InventoryError` for a mistake in those files.
        """
        if not directory:
            return self
        layers = self.layers or Layers(given=self.variables)
        layers = layers.with_playbook(directory, self.name, self.groups)
        return replace(self, variables=layers.merged(), layers=layers)

    def with_given(self, variables: Mapping[str, Any]) -> Host:
        """The host with variables from the command line, which no file overrides."""
        layers = self.layers or Layers(own=(self.variables,))
        layers = replace(layers, given={**(layers.given or {}), **variables})
        return replace(self, variables=layers.merged(), layers=layers)

    def validate(self) -> None:
        """Raise :class:`InventoryError` now for what connecting would stumble over later."""
        _ = (self.address, self.port, self.user, self.key_file, self.known_hosts, self.python, self.is_local)

    def value(self, name: str, default: Any = None) -> Any:
        """A variable, its template rendered when it is one. Raises :class:`InventoryError`."""
        value = self.variables.get(name, default)
        if isinstance(value, str) and not isinstance(value, Verbatim) and "{{" in value:
            from labctl.inventory.rendering import render

            names = {"inventory_hostname": self.name, "inventory_hostname_short": self.short_name}
            return render(self.name, name, value, {**self.variables, **names})
        return value

    @cached_property
    def connection_variables(self) -> dict[str, Any]:
        """What Ansible's variables for the connection come to where the inventory does not give them."""
        return {"ansible_host": self.address, "ansible_port": self.port, "ansible_user": self.user}

    @cached_property
    def short_name(self) -> str:
        """The name up to its first dot, without a port; an address as it is."""
        match = _WITH_PORT.match(self.name)
        name = match["host"].strip("[]") if match else self.name
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name.partition(".")[0]
        return name

    @property
    def has_port_in_name(self) -> bool:
        """Whether it is called ``192.0.2.1:2200``, as only one named on the command line is."""
        return _WITH_PORT.match(self.name) is not None

    @property
    def address(self) -> str:
        """Where to connect to: a name or an address."""
        return str(self._either("ansible_host", "ansible_ssh_host") or self.name)

    @property
    def port(self) -> int:
        old = self.value("ansible_ssh_port") is not None
        name = "ansible_ssh_port" if old else "ansible_port"
        value = self.value(name, 22)
        with contextlib.suppress(ValueError):
            if isinstance(value, int | str) and not isinstance(value, bool) and 0 < int(value) < 65536:
                return int(value)
        raise InventoryError(f"{self.name}: {name} must be a number from 1 to 65535, not {value!r}")

    @property
    def user(self) -> str:
        name = self._either("ansible_user", "ansible_ssh_user") or login_name()
        if not name and not self.is_local:
            raise InventoryError(
                f"{self.name}: who logs in there is not said, and the user {os.getuid()} here has no name",
                hint="give ansible_user in the inventory, or name the VM as user@host",
            )
        return str(name or os.getuid())

    @property
    def login(self) -> str:
        """Who logs in where, for messages."""
        return f"{self.user}@{with_port(self.address, self.port)}"

    @property
    def key_file(self) -> Path | None:
        """The private key to offer; None leaves it to the user's defaults."""
        return self._path("ansible_ssh_private_key_file") or self._path("ansible_private_key_file")

    @property
    def known_hosts(self) -> Path | None:
        """The file that holds this host's key; None means the user's own."""
        return self._path("labctl_known_hosts")

    @property
    def python(self) -> str:
        """The interpreter for the agent. Ansible's ``auto`` values mean the usual one."""
        chosen = str(self.value("ansible_python_interpreter", "python3"))
        return "python3" if chosen.startswith("auto") else chosen

    @property
    def is_local(self) -> bool:
        chosen = str(self.value("ansible_connection") or "ssh").removeprefix("ansible.builtin.")
        if chosen not in _CONNECTIONS:
            raise InventoryError(
                f"{self.name}: ansible_connection {chosen!r} is not covered: ssh and local are",
                hint="labctl setup --engine ansible runs it through ansible-core",
            )
        return chosen == "local"

    def _either(self, name: str, old: str) -> Any:
        """A variable under its name of today or its old one, which wins, as in Ansible."""
        value = self.value(old)
        return self.value(name) if value is None else value

    def _path(self, name: str) -> Path | None:
        value = self.value(name)
        return Path(str(value)).expanduser() if value else None


@dataclass(frozen=True)
class Group:
    """A group: ``hosts`` are the names of all hosts in it and in its children, in file order."""

    name: str
    hosts: tuple[str, ...]
    children: tuple[str, ...] = ()


@dataclass(frozen=True)
class Inventory:
    """All hosts and groups; ``paths`` are the files and directories read, none for one made in memory."""

    hosts: Mapping[str, Host]
    groups: Mapping[str, Group]
    paths: tuple[Path, ...] = ()

    @property
    def name(self) -> str:
        """What was read, for messages."""
        return ", ".join(map(str, self.paths))

    def select(self, patterns: Sequence[str]) -> tuple[Host, ...]:
        """The hosts that ``patterns`` name, in the inventory's order, each once.

        A pattern is one of Ansible's (see :mod:`labctl.inventory.patterns`), or ``user@host[:port]`` for
        a host in no inventory. Raises :class:`UnknownHost` with the nearest name, and :class:`RequestError`
        for two hosts of one name: one's result would be taken for the other's.
        """
        groups = self._members()
        direct: list[Host] = []
        names: set[str] = set()
        for pattern in patterns:
            match = None if pattern in self.hosts else _DIRECT.match(pattern)
            if match:
                direct.append(self._direct_host(match))
            else:
                names |= matching(pattern, self.hosts, groups, self.name)
        chosen = {name: host for name, host in self.hosts.items() if name in names}
        for host in direct:
            other = chosen.setdefault(host.name, host)
            if other.login != host.login:
                raise RequestError(
                    f"{host.name} is named twice, as {other.login} and as {host.login}",
                    hint="results are kept by name: give them to two commands, or names in an inventory",
                )
        return tuple(chosen.values())

    def some(self, patterns: Sequence[str]) -> tuple[Host, ...]:
        """As :meth:`select`, for work that needs somebody: raises :class:`UnknownHost` for nobody too."""
        hosts = self.select(patterns)
        if not hosts:
            raise nobody(patterns, self.name)
        return hosts

    def named_by(self, pattern: str) -> set[str]:
        """The names of the hosts of a play's ``hosts``: a part that names nothing is passed over."""
        return matching(pattern, self.hosts, self._members(), strict=False)

    def _members(self) -> dict[str, tuple[str, ...]]:
        return {name: group.hosts for name, group in self.groups.items()}

    def _direct_host(self, match: re.Match[str]) -> Host:
        """The host of ``user@host[:port]``: one of the inventory by address, or one in no inventory.

        That one is called by its port as well, when it is given: several VMs may be behind one address.
        """
        check_host(match[0])
        address = match["host"].strip("[]")
        variables: dict[str, Any] = {"ansible_host": address, "ansible_user": match["user"]}
        name = address
        if match["port"]:
            variables["ansible_port"] = port = int(match["port"])
            if not 0 < port < 65536:
                raise UnknownHost(f"{match[0]}: {port} is not a port", hint="ports are 1 to 65535")
            name = with_port(address, port)
        for host in self.hosts.values():
            same_port = not match["port"] or int(match["port"]) == host.port
            if address in (host.name, host.address) and same_port:
                # The same machine under its inventory name: keep its variables, connect as asked.
                return host.with_given({"ansible_user": match["user"]})
        return Host(name, variables)

    def group_hosts(self, name: str) -> tuple[Host, ...]:
        """The hosts of a group, none when there is no such group."""
        group = self.groups.get(name)
        return tuple(self.hosts[host] for host in group.hosts) if group else ()

    def host(self, name: str) -> Host:
        try:
            return self.hosts[name]
        except KeyError:
            raise UnknownHost(f"there is no host {name!r} in the inventory") from None


def with_port(address: str, port: int) -> str:
    """``192.0.2.1:22``, ``[2001:db8::1]:22``."""
    return f"{bracketed(address)}:{port}"


def bracketed(address: str) -> str:
    """An address as it stands before a port: ``192.0.2.1``, ``[2001:db8::1]``."""
    return f"[{address}]" if ":" in address else address


def local_host(name: str = "localhost", **variables: Any) -> Host:
    """This machine, without a connection."""
    return Host(name, {"ansible_connection": "local", "ansible_host": "127.0.0.1", **variables})
