"""SSH by fabric and paramiko, with what they leave open closed.

fabric accepts any host key, reads no known_hosts and waits for ever by default; paramiko asks the
user what a server asks of it, and its own timeouts do not bound a server that drips bytes. Here:
the host key is checked against the inventory's known_hosts before anything else, one public key is
offered, nobody is asked anything, and one absolute deadline ends it all.
"""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path
from typing import Any

import fabric
import paramiko

from labctl.connect.stream import STDERR_TAIL, Stream
from labctl.deadline import Deadline
from labctl.errors import (
    AgentFault,
    AuthRefused,
    DeadlineExceeded,
    HostError,
    HostKeyChanged,
    HostKeyUnknown,
    Unreachable,
)
from labctl.inventory import Host

#: A VM that does not even accept a TCP connection within this many seconds is not waited for longer.
CONNECT_TIMEOUT = 15.0
_DEFAULT_KEYS = ("id_ed25519", "id_ecdsa", "id_rsa")


class _PromptSocket(socket.socket):
    """A socket that neither delays what it sends nor its acknowledgements.

    With the defaults, Nagle's algorithm and delayed ACKs add about 45 ms to each exchange.
    QUICKACK is not permanent in Linux, hence at each read.
    """

    def recv(self, *args: Any) -> bytes:
        data = super().recv(*args)
        try:
            self.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:
            pass  # the peer has gone: the data that came is still worth having
        return data


class _OnlyKnownHosts(paramiko.MissingHostKeyPolicy):
    """Refuses a host whose key is on no record."""

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> None:
        raise _Unknown(key)


class _Unknown(Exception):
    def __init__(self, key: paramiko.PKey) -> None:
        super().__init__(key.fingerprint)
        self.key = key


def connect(host: Host, deadline: Deadline) -> SshConnection:
    """Connect and authenticate. Raises the :class:`HostError` that says what went wrong."""
    deadline.check(f"connecting to {host.name}")
    sock = _open_socket(host, deadline)
    # Whatever the server does, at the deadline the socket is shut and every wait on it ends.
    guard = threading.Timer(deadline.remaining(), _shut, [sock])
    guard.daemon = True
    guard.start()
    try:
        connection = _fabric_connection(host, sock, deadline)
    except BaseException:
        guard.cancel()
        sock.close()
        raise
    try:
        connection.open()
    except BaseException as err:
        guard.cancel()
        connection.client.close()
        sock.close()
        if isinstance(err, Exception):
            raise _explain(err, host, deadline) from err
        raise
    guard.cancel()
    return SshConnection(host, connection)


def _open_socket(host: Host, deadline: Deadline) -> _PromptSocket:
    timeout = min(CONNECT_TIMEOUT, deadline.remaining())
    where = f"{host.address} port {host.port}"
    try:
        plain = socket.create_connection((host.address, host.port), timeout=timeout)
    except socket.gaierror as err:
        raise Unreachable(
            f"the name {host.address} does not resolve", hint="check ansible_host in the inventory"
        ) from err
    except TimeoutError as err:
        raise Unreachable(
            f"no answer from {where} within {timeout:.0f} s",
            hint="is the VM up, and does its firewall allow SSH?",
        ) from err
    except OSError as err:
        raise Unreachable(
            f"{where}: {err.strerror or err}", hint="is the VM up, and its sshd running?"
        ) from err
    sock = _PromptSocket(plain.family, plain.type, plain.proto, fileno=plain.detach())
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def _fabric_connection(host: Host, sock: socket.socket, deadline: Deadline) -> fabric.Connection:
    timeout = max(deadline.remaining(), 0.1)
    key = _private_key(host)
    connection = fabric.Connection(
        host.address,
        user=host.user,
        port=host.port,
        # A Config of its own for each connection: one shared by threads breaks now and then.
        config=fabric.Config(overrides={"load_ssh_configs": False}, lazy=True),
        connect_timeout=timeout,
        forward_agent=False,
        connect_kwargs={
            "sock": sock,
            # Loaded by us: given a file's name, paramiko tries it as every kind of key and reports
            # the last failure, not the server's refusal.
            "pkey": key,
            "look_for_keys": False,
            "allow_agent": key is None,
            "banner_timeout": timeout,
            "auth_timeout": timeout,
        },
    )
    connection.client.set_missing_host_key_policy(_OnlyKnownHosts())
    known_hosts = host.known_hosts or Path.home() / ".ssh" / "known_hosts"
    if known_hosts.exists():
        connection.client.load_system_host_keys(str(known_hosts))
    return connection


def _private_key(host: Host) -> paramiko.PKey | None:
    """The one key to offer: the inventory's, or the user's default one; None leaves it to ssh-agent."""
    candidates = (Path.home() / ".ssh" / name for name in _DEFAULT_KEYS)
    path = host.key_file or next((path for path in candidates if path.exists()), None)
    if path is None:
        return None
    try:
        return paramiko.PKey.from_path(path)
    except paramiko.PasswordRequiredException as err:
        raise AuthRefused(
            f"the private key {path} is encrypted", hint="name one without a passphrase in the inventory"
        ) from err
    except OSError as err:
        raise AuthRefused(f"cannot read the private key {path}: {err.strerror}") from err
    except (paramiko.SSHException, paramiko.pkey.UnknownKeyType, ValueError, TypeError) as err:
        raise AuthRefused(f"{path} is not a private key that can be used: {err}") from err


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed already


def _explain(err: Exception, host: Host, deadline: Deadline) -> HostError:
    """The error of our tree that says what ``err`` of paramiko's means."""
    known_hosts = host.known_hosts or Path.home() / ".ssh" / "known_hosts"
    if isinstance(err, paramiko.BadHostKeyException):
        return HostKeyChanged(
            f"the host key of {host.address} port {host.port} is not the one on record; nothing was run",
            hint=f"when the VM was reinstalled, and only then: remove its line from {known_hosts} and record "
            "its new key",
        )
    if isinstance(err, _Unknown):
        return HostKeyUnknown(
            f"no host key of {host.address} port {host.port} is on record; nothing was run",
            hint=f"compare its fingerprint ({err}) with the VM's own, then add it to {known_hosts}",
        )
    if isinstance(err, paramiko.AuthenticationException):
        return AuthRefused(
            f"{host.user}@{host.address} refused our key",
            hint="is the key of ansible_ssh_private_key_file in the user's ~/.ssh/authorized_keys?",
        )
    if deadline.expired:
        return DeadlineExceeded(f"{host.address} port {host.port} did not finish the SSH handshake in time")
    if isinstance(err, paramiko.SSHException | EOFError | OSError | ValueError):
        detail = str(err) or type(err).__name__
        return Unreachable(f"{host.address} port {host.port}: no SSH session: {detail[:300]}")
    return HostError(f"cannot connect: {type(err).__name__}: {err}")


class SshConnection:
    """An authenticated connection."""

    def __init__(self, host: Host, connection: fabric.Connection) -> None:
        self.host = host
        self._connection = connection

    @property
    def is_root(self) -> bool:
        return self.host.user == "root"

    def execute(self, command: str, deadline: Deadline) -> Stream:
        try:
            channel = self._connection.transport.open_session(timeout=max(deadline.remaining(), 0.01))
            channel.settimeout(max(deadline.remaining(), 0.01))
            channel.exec_command(command)
        except (paramiko.SSHException, EOFError, OSError) as err:
            deadline.check(f"starting a program on {self.host.name}")
            raise AgentFault(
                f"the VM's sshd refused to start a program: {err or type(err).__name__}"
            ) from err
        return SshStream(channel, self.host)

    def close(self) -> None:
        self._connection.client.close()


class SshStream:
    """One SSH channel."""

    def __init__(self, channel: paramiko.Channel, host: Host) -> None:
        self.host = host
        self._channel = channel
        self._stderr = b""

    def write(self, data: bytes, deadline: Deadline) -> None:
        try:
            self._channel.settimeout(max(deadline.remaining(), 0.01))
            self._channel.sendall(data)
        except TimeoutError as err:
            raise DeadlineExceeded(f"{self.host.name} did not take what was sent in time") from err
        except (paramiko.SSHException, EOFError, OSError) as err:
            raise AgentFault("the connection to the agent is gone") from err

    def read(self, most: int, deadline: Deadline) -> bytes:
        try:
            self._channel.settimeout(max(deadline.remaining(), 0.01))
            data = self._channel.recv(most)
        except TimeoutError as err:
            raise DeadlineExceeded(f"no answer from the agent on {self.host.name} in time") from err
        except (paramiko.SSHException, OSError) as err:
            raise EOFError from err
        self._drain_stderr()
        if not data:
            raise EOFError
        return data

    def _drain_stderr(self) -> None:
        # Unread stderr would use up the channel's window and block stdout.
        while self._channel.recv_stderr_ready():
            self._stderr = (self._stderr + self._channel.recv_stderr(1 << 16))[-STDERR_TAIL:]

    def wait(self, deadline: Deadline) -> int | None:
        # recv_exit_status() ignores every timeout.
        while not self._channel.exit_status_ready():
            if deadline.expired:
                return None
            time.sleep(min(0.02, deadline.remaining()))
        self._drain_stderr()
        return self._channel.recv_exit_status()

    def stderr_tail(self) -> bytes:
        self._drain_stderr()
        return self._stderr

    def close(self) -> None:
        self._channel.close()
