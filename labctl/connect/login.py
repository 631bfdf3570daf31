"""Logging in to one SSH server, the VM's or a jump host's.

paramiko's own timeouts do not bound a server that drips bytes, and it asks the user what a server asks of
it. Here: the host key is checked against the known_hosts in force before anything else, a few public keys
are offered, nobody is asked anything, no agent is forwarded, and one absolute deadline ends it all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import paramiko
from paramiko.auth_strategy import AuthFailure

from labctl.connect import known_hosts
from labctl.connect.bounded import Transport
from labctl.connect.carrier import Carrier, open_carrier
from labctl.connect.guard import at
from labctl.connect.keys import InOrder, Offers, offers_for
from labctl.connect.known_hosts import Known
from labctl.connect.program import OneFlight, Program
from labctl.connect.retry import NotInOneFlight
from labctl.connect.route import Server
from labctl.deadline import Deadline
from labctl.errors import (
    AuthRefused,
    DeadlineExceeded,
    HostError,
    HostKeyChanged,
    HostKeyRevoked,
    HostKeyUnknown,
    Unreachable,
)

# Without a handler, Python prints paramiko's errors on stderr: they are in ours, with what they mean.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


#: Seconds between two messages that ask for nothing, over a connection where we only wait.
KEEPALIVE = 10


class _OnlyKnownHosts(paramiko.MissingHostKeyPolicy):
    """Judges every key: the client has none on record itself, as it would compare with one of each kind."""

    def __init__(self, known: Known) -> None:
        self.known = known

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        state = self.known.state(key)
        if state != "on-record":
            raise _NotTrusted(key, state)


class _NotTrusted(Exception):
    """``state`` as :meth:`Known.state` has it."""

    def __init__(self, key: paramiko.PKey, state: str) -> None:
        super().__init__(key.fingerprint)
        self.state = state


class Login:
    """An authenticated connection, a program ``begun`` on it, and all that has to be closed with it."""

    def __init__(self, server: Server, transport: Any, begun: Program | None, stack: ExitStack) -> None:
        self.server = server
        self.transport = transport
        self.begun = begun
        self._stack = stack

    def close(self) -> None:
        self._stack.close()


def log_in(server: Server, deadline: Deadline, carrier: Carrier | None = None, command: str = "") -> Login:
    """Connect to ``server`` by its jump hosts, and authenticate. ``carrier`` is the way there when it is open
    already: it is the login's from now on. ``command`` may be started on the way: see :class:`OneFlight`.

    Raises the :class:`HostError` that says what went wrong, and at which of them.
    """
    with ExitStack() as stack, ExitStack() as until_in:
        if carrier is None:
            deadline.check(f"connecting to {server.where}")
            carrier = open_carrier(server, deadline, log_in)
        stack.callback(carrier.close)
        offers = offers_for(server, deadline, until_in)
        # Whatever the server does, at the deadline its carrier is shut and every wait on it ends.
        until_in.callback(at(deadline, carrier.shut))
        known = known_keys(server)
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_OnlyKnownHosts(known))
        stack.callback(client.close)
        stack.callback(carrier.shut)  # first: it wakes paramiko's thread, which would wait on what is closed
        begun = None
        try:
            # of several keys the first is often refused
            factory = partial(OneFlight, command=command) if command and len(offers.keys) == 1 else Transport
            _begin(client, server, carrier.sock, offers, known, deadline, factory)
            transport: Any = client.get_transport()
            if isinstance(transport, OneFlight) and transport.is_authenticated():
                begun = transport.started(max(deadline.remaining(), 0.0) + 1.0)
        except HostError:
            raise  # of what is on record
        except Exception as err:
            why = _explain(err, server, offers, carrier, deadline)
            transport = client.get_transport()
            if isinstance(why, Unreachable) and isinstance(transport, OneFlight) and transport.begun:
                why = NotInOneFlight(why.message)
            raise why from err
        # A VM that rebooted knows nothing of the connection, and says so when something is sent to it.
        transport.set_keepalive(KEEPALIVE)
        if not transport.is_authenticated():
            raise AuthRefused(f"{_user(server)} wants more than a key", hint="it took: " + offers.names)
        return Login(server, transport, begun, stack.pop_all())


def _begin(
    client: paramiko.SSHClient,
    server: Server,
    sock: Any,
    offers: Offers,
    known: Known,
    deadline: Deadline,
    factory: Any,
) -> None:
    def transport(sock: Any, **options: Any) -> Any:
        made = factory(sock, **options)
        ask_for_kinds(made, (*known.keys, *known.usual_port))
        return made

    # Later than the guard, which is the one that ends it: then it is the deadline that has passed.
    timeout = max(deadline.remaining(), 0.0) + 1.0
    client.connect(
        server.address,
        port=server.port,
        username=server.user,
        sock=sock,
        timeout=timeout,
        banner_timeout=timeout,
        auth_timeout=timeout,
        auth_strategy=InOrder(server.user, offers),
        transport_factory=transport,
    )


def record_name(server: Server) -> str:
    """What known_hosts calls a server."""
    if server.host_key_alias:
        return server.host_key_alias.lower()
    address = server.address.lower()
    return address if server.port == 22 else f"[{address}]:{server.port}"


def known_keys(server: Server) -> Known:
    """What is on record of a server. Raises :class:`HostError` for an unreadable file."""
    name = record_name(server)
    # as in ssh: the machine's sshd at another port is taken for the machine, too
    names = (name, server.address.lower()) if name.startswith("[") else (name,)
    return known_hosts.known(server.known_hosts, names, server.revoked_keys)


def revoked(server: Server, fingerprint: str) -> HostKeyRevoked:
    """The error for a server that shows a key with this fingerprint."""
    return HostKeyRevoked(
        f"the host key of {server.where}, {fingerprint}, is revoked; nothing was run",
        hint="make it a new key (ssh-keygen -A after removing the old one): this one may be in others' hands",
    )


def ask_for_kinds(transport: paramiko.Transport, keys: Iterable[paramiko.PKey]) -> None:
    """Ask a server for a host key of one of the kinds of ``keys`` first, as ssh does.

    paramiko asks for one of them, and one that it was not asked for is taken for another server's.
    """
    kinds = {key.get_name() for key in keys}
    options = transport.get_security_options()
    options.key_types = sorted(options.key_types, key=lambda name: _kind(name) not in kinds)


def _kind(algorithm: str) -> str:
    """What a host key for ``algorithm`` is called on record: one of RSA signs in several ways."""
    return "ssh-rsa" if algorithm.startswith("rsa-sha2-") else algorithm


def _explain(
    err: Exception, server: Server, offers: Offers, carrier: Carrier, deadline: Deadline
) -> HostError:
    """The error of our tree that says what ``err`` of paramiko's means."""
    record = server.record or "known_hosts"
    thing = "jump host" if server.is_jump else "VM"
    if isinstance(err, _NotTrusted) and err.state == "revoked":
        return revoked(server, str(err))
    if isinstance(err, _NotTrusted) and err.state == "changed":
        return HostKeyChanged(
            f"the host key of {server.where} is not the one on record; nothing was run",
            hint=f"when the {thing} was reinstalled, and only then: {_how(server, record, ' --replace')}",
        )
    if isinstance(err, _NotTrusted):
        return HostKeyUnknown(
            f"no host key of {server.where} is on record; nothing was run",
            hint=f"its fingerprint is {err}: compare it with the {thing}'s own, then {_how(server, record)}",
        )
    if deadline.expired:
        return DeadlineExceeded(f"{server.where} did not finish the SSH handshake in time")
    if isinstance(err, paramiko.AuthenticationException):
        refusal = _refused(err, server, offers)
        if refusal:
            return refusal
    if isinstance(err, paramiko.SSHException | EOFError | OSError | ValueError):
        # paramiko's account of all keys is none for people
        last = err.result[-1].result if isinstance(err, AuthFailure) and err.result else err
        detail = carrier.said() or " ".join(str(last).split()) or type(last).__name__
        return Unreachable(f"{server.where}: no SSH session: {detail[:300]}", passing=not carrier.missing())
    return HostError(f"cannot connect to {server.where}: {type(err).__name__}: {err}")


def _how(server: Server, record: Path | str, option: str = "") -> str:
    """How to record a key: the VM's by labctl, a jump host's as ssh does it."""
    if server.is_jump:
        return f"record its key in {record}, as ssh does when you log in there"
    return f"labctl hosts trust{option} records its key in {record}"


def _refused(err: paramiko.AuthenticationException, server: Server, offers: Offers) -> AuthRefused | None:
    """The error for keys that were refused; None when the connection broke before any was."""
    tried = [one.result for one in err.result] if isinstance(err, AuthFailure) else [err]
    refused = [
        offer.name
        for offer, result in zip(offers.keys, tried, strict=False)
        if isinstance(result, paramiko.AuthenticationException)
    ]
    if not refused:
        return None
    # The server may end the connection before it was asked about all of them.
    offers.left_out += len(offers.keys) - len(refused)
    whose = (
        "name the jump host's own user and key under its Host in ~/.ssh/config: the inventory's are the VM's"
        if server.is_jump
        else "is the key of ansible_ssh_private_key_file in the user's ~/.ssh/authorized_keys?"
    )
    keys = "keys" if len(refused) > 1 else "key"
    return AuthRefused(f"{_user(server)} refused our {keys}: {', '.join(refused)}", hint=offers.hint(whose))


def _user(server: Server) -> str:
    return f"{'the jump host ' if server.is_jump else ''}{server.user}@{server.address}"
