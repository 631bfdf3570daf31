"""Host keys before they are trusted: what a VM shows, what is on record, and recording it.

Nothing but the key is asked of the server: nobody logs in and nothing runs.
"""

from __future__ import annotations

import os
import subprocess
import threading
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import paramiko

from labctl.connect.bounded import Transport
from labctl.connect.carrier import open_carrier
from labctl.connect.login import known_keys, log_in, record_name
from labctl.connect.route import Server, route_to
from labctl.deadline import Deadline
from labctl.errors import DeadlineExceeded, HostError, Unreachable
from labctl.inventory import Host


@dataclass(frozen=True)
class Shown:
    """The host key that a VM showed. ``state``: new, on-record, or changed (another is on record).

    ``name`` is what the VM is called in the file ``record``, ``line`` what is to be in it.
    """

    host: str
    kind: str
    fingerprint: str
    state: str
    name: str
    line: str
    record: Path


def shown_key(host: Host, deadline: Deadline) -> Shown:
    """Ask ``host`` for its host key, by its jump hosts, whose keys must be on record.

    Raises a :class:`HostError`, as connecting does.
    """
    server = route_to(host)
    key = _ask(server, deadline)
    name = record_name(server)
    known = known_keys(server)
    state = "new" if not known else "on-record" if key in known else "changed"
    return Shown(
        host=host.name,
        kind=key.get_name(),
        fingerprint=key.fingerprint,
        state=state,
        name=name,
        line=f"{name} {key.get_name()} {key.get_base64()}",
        record=server.known_hosts[0],
    )


def record(shown: Shown) -> None:
    """Write a key down, in the place of every other of that VM. Raises :class:`HostError`."""
    path = shown.record
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if shown.state == "changed":
            # as it also finds names that are hashed; it keeps the file as it was in known_hosts.old
            subprocess.run(
                ["ssh-keygen", "-q", "-R", shown.name, "-f", str(path)],
                check=True,
                capture_output=True,
                text=True,
                timeout=30,
            )
        before = path.read_bytes() if path.exists() else b""
        with path.open("a", encoding="ascii") as file:
            file.write(("\n" if before and not before.endswith(b"\n") else "") + shown.line + "\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as err:
        raise HostError(f"cannot record the key in {path}: {err.strerror or err}") from err
    except subprocess.SubprocessError as err:
        raise HostError(
            f"cannot take the old key out of {path}: {getattr(err, 'stderr', '') or err}"
        ) from err


def _ask(server: Server, deadline: Deadline) -> paramiko.PKey:
    deadline.check(f"connecting to {server.where}")
    with ExitStack() as stack:
        carrier = open_carrier(server, deadline, log_in)
        stack.callback(carrier.close)
        # Whatever the server does, at the deadline its carrier is shut and every wait on it ends.
        guard = threading.Timer(max(deadline.remaining(), 0.0), carrier.shut)
        guard.daemon = True
        stack.callback(guard.cancel)
        guard.start()
        transport = Transport(carrier.sock)
        stack.callback(transport.close)
        try:
            transport.start_client(timeout=deadline.remaining() + 1.0)
            return transport.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError, ValueError) as err:
            if deadline.expired:
                raise DeadlineExceeded(f"{server.where} did not show a host key in time") from err
            detail = carrier.said() or str(err) or type(err).__name__
            raise Unreachable(f"{server.where}: no SSH session: {detail[:300]}") from err
