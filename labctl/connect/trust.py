"""Host keys before they are trusted: what a VM shows, what is on record, and recording it.

Nothing but the key is asked of the server: nobody logs in and nothing runs.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import paramiko

from labctl.connect.bounded import Transport
from labctl.connect.carrier import open_carrier
from labctl.connect.guard import at
from labctl.connect.login import ask_for_kinds, known_keys, log_in, record_name, revoked
from labctl.connect.route import Server, route_to
from labctl.deadline import Deadline
from labctl.errors import DeadlineExceeded, HostError, Unreachable
from labctl.inventory import Host

#: The kind of key that a server is asked for first, and that all of today have.
_USUAL = "ssh-ed25519"


@dataclass(frozen=True)
class Shown:
    """The host key that a VM showed. ``state``: new, on-record, or changed (another is on record).

    ``name`` is what the VM is called in the file ``record``, ``line`` what is to be in it.
    ``fingerprints`` are those of all keys that it was seen to have.
    """

    host: str
    kind: str
    fingerprint: str
    fingerprints: tuple[str, ...]
    state: str
    name: str
    line: str
    record: Path


def shown_key(host: Host, deadline: Deadline, expected: str = "") -> Shown:
    """Ask ``host`` for its host key, by its jump hosts, whose keys must be on record. Of several keys it is
    the one on record, or the one whose fingerprint is ``expected``.

    Raises a :class:`HostError`, as connecting does.
    """
    server = route_to(host)
    if server.record in (None, Path(os.devnull)):
        raise HostError(
            f"the key of {server.where} cannot be recorded: UserKnownHostsFile is {server.record or 'none'}",
            hint="name a file with labctl_known_hosts in the inventory",
        )
    on_record = known_keys(server)
    known = (*on_record.keys, *on_record.usual_port)
    keys = [_ask(server, deadline, known)]
    if known and keys[0].get_name() != _USUAL:
        # Which one it shows to who knows none of them: the console may tell of that, or another VM show it.
        usual = _ask(server, deadline, ())
        keys += [usual] if usual != keys[0] else []
    key = next((key for key in keys if key.fingerprint == expected), keys[0])
    name = record_name(server)
    state = on_record.state(key)
    if state == "revoked":
        raise revoked(server, key.fingerprint)
    of_kind = key.get_name() in {one.get_name() for one in known}
    if state == "changed" and keys[0] in known and not of_kind:
        # A kind more than on record is news only of a VM that has just shown what is on record.
        state = "new"
    return Shown(
        host=host.name,
        kind=key.get_name(),
        fingerprint=key.fingerprint,
        fingerprints=tuple(one.fingerprint for one in keys),
        state=state,
        name=name,
        line=f"{name} {key.get_name()} {key.get_base64()}",
        record=server.record,
    )


def record(shown: Shown) -> None:
    """Write a key down, in the place of every other of that VM. Raises :class:`HostError`."""
    path = shown.record
    if not shown.line.isascii():
        raise HostError(
            f"cannot record the key of {shown.name}: a name in {path} is written in ASCII",
            hint=_in_ascii(shown.name),
        )
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


def _in_ascii(name: str) -> str:
    """What to write for the server that known_hosts would call ``name``."""
    address = name[1:].rpartition("]:")[0] if name.startswith("[") else name
    try:
        dns = address.encode("idna").decode("ascii")
    except UnicodeError:
        return "give its address in ansible_host"
    return f"ansible_host: {dns} is the same in DNS"


def _ask(server: Server, deadline: Deadline, known: Iterable[paramiko.PKey]) -> paramiko.PKey:
    """The key that the server shows to who knows the keys ``known``."""
    deadline.check(f"connecting to {server.where}")
    with ExitStack() as stack:
        carrier = open_carrier(server, deadline, log_in)
        stack.callback(carrier.close)
        # Whatever the server does, at the deadline its carrier is shut and every wait on it ends.
        stack.callback(at(deadline, carrier.shut))
        transport = Transport(carrier.sock)
        stack.callback(transport.close)
        ask_for_kinds(transport, known)
        try:
            transport.start_client(timeout=deadline.remaining() + 1.0)
            return transport.get_remote_server_key()
        except (paramiko.SSHException, EOFError, OSError, ValueError) as err:
            if deadline.expired:
                raise DeadlineExceeded(f"{server.where} did not show a host key in time") from err
            detail = carrier.said() or str(err) or type(err).__name__
            raise Unreachable(f"{server.where}: no SSH session: {detail[:300]}") from err
