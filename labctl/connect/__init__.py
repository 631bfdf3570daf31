"""Connections to VMs. The only room that imports paramiko."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from labctl.connect import loading
from labctl.connect.carrier import open_carrier
from labctl.connect.hops import kept_hops
from labctl.connect.retry import NotInOneFlight, Retry
from labctl.connect.route import Server, check, route_to
from labctl.connect.stream import Command, Connection, Stream
from labctl.deadline import Deadline
from labctl.inventory import Host

if TYPE_CHECKING:
    from labctl.connect.trust import Shown

__all__ = [
    "Command",
    "Connection",
    "Retry",
    "Server",
    "Stream",
    "check_configuration",
    "kept_hops",
    "login_keys",
    "open_connection",
    "record_key",
    "shown_key",
    "way_to",
]

_ROOT = Path("/")


def open_connection(
    host: Host,
    deadline: Deadline,
    retry: Retry | None = None,
    command: Command | None = None,
    directory: Path = _ROOT,
) -> Connection:
    """Connect to ``host``: over SSH, or to this machine for a local host. Once, or as ``retry`` says.

    ``command`` may be started while logging in: ``execute`` of the same then has it, without a round trip.
    ``directory`` is where programs start on this machine; over SSH that is the user's home.

    Raises :class:`Unreachable`, :class:`HostKeyChanged`, :class:`HostKeyRevoked`, :class:`HostKeyUnknown`,
    :class:`AuthRefused` or :class:`DeadlineExceeded`; :class:`RequestError` when ssh's configuration
    cannot be followed.
    """
    if host.is_local:
        from labctl.connect.local import LocalConnection

        return LocalConnection(host, directory)
    return (retry or Retry(tries=1)).connect(lambda: _connect(host, deadline, command), deadline)


def _connect(host: Host, deadline: Deadline, command: Command | None) -> Connection:
    try:
        return _connect_once(host, deadline, command)
    except NotInOneFlight:
        return _connect_once(host, deadline, None)


def _connect_once(host: Host, deadline: Deadline, command: Command | None) -> Connection:
    """paramiko takes a good part of the start-up time: only those who need it pay, and while the VM's first
    answers are on their way.
    """
    loading.begin()
    server = route_to(host)
    deadline.check(f"connecting to {server.where}")
    # by a jump host it is its login that opens the way
    carrier = None if server.jump else open_carrier(server, deadline)
    loading.wait()
    from labctl.connect.ssh import connect

    return connect(host, server, deadline, carrier, command(server.user == "root") if command else "")


def check_configuration(hosts: Sequence[Host]) -> None:
    """Raise the :class:`RequestError` for a wrong ssh_config, or arguments for ssh, now."""
    check(hosts)


def shown_key(host: Host, deadline: Deadline, expected: str = "") -> Shown:
    """The host key that a VM shows, and whether it is on record; of several the one with the fingerprint
    ``expected``. Raises a :class:`HostError`."""
    from labctl.connect import trust

    return trust.shown_key(host, deadline, expected)


def record_key(shown: Shown) -> None:
    """Write the host key of a VM down. Raises :class:`HostError` when the file cannot be written."""
    from labctl.connect import trust

    trust.record(shown)


def login_keys(host: Host) -> dict[bytes, Path]:
    """The public halves of the key files with which ``host`` and its jump hosts are logged in to.

    Raises :class:`RequestError` when ssh's configuration cannot be followed.
    """
    from labctl.connect.keys import public_key

    files = [path for one in way_to(host) for path in ((one.key,) if one.key else one.identity_files)]
    return {public: path for path in dict.fromkeys(files) if (public := public_key(path))}


def way_to(host: Host) -> tuple[Server, ...]:
    """The SSH servers on the way to ``host``: the jump hosts, then its own. None for a local host.

    Raises :class:`RequestError` when ssh's configuration cannot be followed.
    """
    if host.is_local:
        return ()
    server = route_to(host)
    return (*server.jumps, server)
