"""Connections to VMs. The only room that imports fabric and paramiko."""

from __future__ import annotations

from labctl.connect.stream import Connection, Stream
from labctl.deadline import Deadline
from labctl.inventory import Host

__all__ = ["Connection", "Stream", "open_connection"]


def open_connection(host: Host, deadline: Deadline) -> Connection:
    """Connect to ``host``: over SSH, or to this machine for a local host.

    Raises :class:`Unreachable`, :class:`HostKeyChanged`, :class:`HostKeyUnknown`,
    :class:`AuthRefused` or :class:`DeadlineExceeded`.
    """
    if host.is_local:
        from labctl.connect.local import LocalConnection

        return LocalConnection(host)
    # fabric and paramiko take a good part of the start-up time: only those who need them pay.
    from labctl.connect.ssh import connect

    return connect(host, deadline)
