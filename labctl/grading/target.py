"""The facts of the VM under judgement, from the inventory: what is right on this VM and not on another's."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from labctl.errors import InventoryError
from labctl.inventory import Host


@dataclass(frozen=True)
class Target:
    """One VM. What the inventory does not say is "" (or empty): checks then accept what the VM says of
    itself.

    ``address`` is where the grader reaches it, ``ports`` maps a service's port to the one to use from there
    (a sandbox without root shifts low ports). ``lab_address`` is its own address in the lab's network,
    ``lab_fqdn`` its name, ``lab_user`` the student. ``nonce`` is fresh in every run: names made from it
    cannot have been prepared for. ``has_staff``: the staff's server can be asked. ``is_local``: graded from
    the VM itself, by the student. ``answered``: there are written answers; ``secrets`` are the names of the
    staff's secrets that they can be compared with, never the secrets.
    """

    name: str
    address: str
    lab_user: str = ""
    lab_fqdn: str = ""
    lab_address: str = ""
    nfs_server: str = ""
    nfs_server_address: str = ""
    nonce: str = ""
    has_staff: bool = False
    is_local: bool = False
    ports: Mapping[str, int] = field(default_factory=dict)
    answered: bool = False
    secrets: tuple[str, ...] = ()

    def port(self, service: int) -> int:
        """The port to use from outside for the VM's port ``service``."""
        return self.ports.get(str(service), service)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "secrets": list(self.secrets)}


def target_of(host: Host, staff: Host | None) -> Target:
    """The target for a host of the inventory. Raises :class:`InventoryError` for a variable of the wrong
    kind.
    """
    shifted = host.variables.get("outside_ports") or {}
    if not isinstance(shifted, Mapping):
        raise InventoryError(f"{host.name}: outside_ports must map ports to ports")
    try:
        ports = {str(int(real)): int(seen) for real, seen in shifted.items()}
    except (TypeError, ValueError) as err:
        raise InventoryError(f"{host.name}: outside_ports must map ports to ports: {err}") from err
    outside = [port for port in ports.values() if not 1 <= port <= 65535]
    if outside:
        raise InventoryError(f"{host.name}: outside_ports: there is no port {outside[0]}")
    server = _text(host, "nfs_server").rstrip(".").lower()
    return Target(
        name=host.name,
        address="127.0.0.1" if host.is_local else host.address,
        lab_user=_text(host, "lab_user") or ("" if host.is_local else host.user),
        lab_fqdn=_text(host, "lab_fqdn").rstrip(".").lower(),
        lab_address=_address(host),
        nfs_server=server,
        # where the VMs have another way to it than the grader, they know it by its name
        nfs_server_address=(_text(staff, "lab_address") or (staff.address if server else ""))
        if staff
        else "",
        nonce=secrets.token_hex(8),
        has_staff=staff is not None,
        is_local=host.is_local,
        ports={} if host.is_local else ports,
    )


def handed_over(host: Host, document: Mapping[str, Any]) -> str:
    """The student for whom a VM's document was made, when the inventory has another there now; else "".

    Where the inventory says no ``lab_user`` it is not known.
    """
    now, then = _text(host, "lab_user"), str((document.get("target") or {}).get("lab_user") or "")
    return then if now and now != then else ""


def _address(host: Host) -> str:
    """The VM's own address: what has another form is no answer of any VM, and would cost the points."""
    text = _text(host, "lab_address").strip()
    try:
        return str(ipaddress.ip_address(text)) if text else ""
    except ValueError as err:
        raise InventoryError(
            f"{host.name}: lab_address must be an IP address, not {text!r}",
            hint="without lab_address the VM's own word is taken for it",
        ) from err


def _text(host: Host, name: str) -> str:
    value = host.value(name)
    if value is None:
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InventoryError(f"{host.name}: {name} must be text, not {value!r}")
    return str(value)
