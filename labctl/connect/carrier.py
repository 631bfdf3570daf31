"""What carries the bytes to an SSH server: TCP, a program (ProxyCommand), or a channel of a jump host.

paramiko is imported only for jump hosts: on a direct way the server is asked before paramiko is there.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from labctl.connect.hops import LogIn, through
from labctl.connect.route import Server
from labctl.connect.stream import STDERR_TAIL
from labctl.deadline import Deadline
from labctl.errors import DeadlineExceeded, Unreachable

if TYPE_CHECKING:
    import paramiko

#: Seconds that the program of ProxyCommand has to end: when its connection is closed, and after a signal.
_ENDS_ALONE_WITHIN, _ENDS_WITHIN = 0.1, 2.0
#: Reasons of RFC 4254 for not opening a channel.
_PROHIBITED, _CONNECT_FAILED = 1, 2


@dataclass(frozen=True)
class Carrier:
    """``sock`` is for paramiko. ``shut`` ends all waits on it, from any thread, ``close`` takes it away;
    ``said`` is the last line of what its program wrote to stderr, when it is a program, and ``missing``
    whether there is no such program."""

    sock: Any
    shut: Callable[[], None]
    said: Callable[[], str] = str
    missing: Callable[[], bool] = bool
    close: Callable[[], None] = field(default=lambda: None)


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


def open_carrier(server: Server, deadline: Deadline, log_in: LogIn | None = None) -> Carrier:
    """Open the way to ``server``. ``log_in`` is for the jump host on it, when there is one.

    Raises :class:`Unreachable`, :class:`DeadlineExceeded`, or what the jump host's login raises.
    """
    with ExitStack() as stack:
        if server.jump:
            assert log_in is not None
            carrier = _channel(server, server.jump, deadline, stack, log_in)
        elif server.proxy_command:
            carrier = _program(server, stack)
        else:
            sock = _tcp(server, deadline)
            stack.callback(sock.close)
            carrier = Carrier(sock, lambda: _shut(sock))
        return replace(carrier, close=stack.pop_all().close)


def _tcp(server: Server, deadline: Deadline) -> _PromptSocket:
    """Each of the server's addresses is tried, by the deadline."""
    began = time.monotonic()
    try:
        addresses = _addresses(server, min(server.connect_timeout, deadline.remaining()))
    except socket.gaierror as err:
        raise Unreachable(
            f"the name {server.address} does not resolve",
            hint=_where_named(server),
            passing=err.errno == socket.EAI_AGAIN,
        ) from err
    except ValueError as err:
        # what Python says of a name that DNS cannot have: a part of more than 63 letters, or of none
        raise Unreachable(
            f"{server.address!r} is no name or address of a machine: {err}",
            hint=_where_named(server),
            passing=False,
        ) from err
    failure = OSError("it has no address")
    for left, (family, kind, protocol, _, where) in zip(range(len(addresses), 0, -1), addresses, strict=True):
        try:
            return _connected(
                _PromptSocket(family, kind, protocol),
                where,
                min(server.connect_timeout, deadline.remaining() / left),
            )
        except OSError as err:
            failure = err
    if isinstance(failure, TimeoutError):
        raise _no_answer(server, time.monotonic() - began) from failure
    raise Unreachable(f"{server.where}: {failure.strerror or failure}", hint=_is_it_up(server)) from failure


def _connected(sock: _PromptSocket, where: Any, seconds: float) -> _PromptSocket:
    try:
        sock.settimeout(max(seconds, 0.01))
        sock.connect(where)
        sock.settimeout(None)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        sock.close()
        raise
    return sock


def _addresses(server: Server, seconds: float) -> list[Any]:
    """As ``getaddrinfo`` has them, and raises. A name server has no other timeout than this: it is asked in a
    thread that nobody waits for. Raises :class:`Unreachable` after ``seconds``.
    """
    asked = partial(socket.getaddrinfo, server.address, server.port, type=socket.SOCK_STREAM)
    with suppress(socket.gaierror):
        return asked(flags=socket.AI_NUMERICHOST)
    said: queue.SimpleQueue[list[Any] | OSError | ValueError] = queue.SimpleQueue()

    def ask() -> None:
        try:
            said.put(asked())
        except (OSError, ValueError) as err:
            said.put(err)

    threading.Thread(target=ask, name=f"resolve-{server.address}", daemon=True).start()
    try:
        answer = said.get(timeout=max(seconds, 0.01))
    except queue.Empty:
        raise Unreachable(
            f"no name server said within {seconds:.0f} s what {server.address} is",
            hint=f"does it for you? getent hosts {server.address}",
        ) from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _channel(server: Server, jump: Server, deadline: Deadline, stack: ExitStack, log_in: LogIn) -> Carrier:
    """A direct-tcpip channel of the jump host, as ``ssh -W`` makes one."""
    import paramiko

    transport = stack.enter_context(through(jump, deadline, log_in))
    timeout = min(server.connect_timeout, deadline.remaining())
    try:
        channel = transport.open_channel(
            "direct-tcpip", (server.address, server.port), ("127.0.0.1", 0), timeout=max(timeout, 0.01)
        )
    except paramiko.ChannelException as err:
        if err.code == _PROHIBITED:
            raise Unreachable(
                f"{jump.where} does not lead on to {server.where}: {err.text}",
                hint="its sshd needs AllowTcpForwarding and PermitOpen for it",
                passing=False,
            ) from err
        raise Unreachable(
            f"{jump.where} cannot connect to {server.where}: {err.text}", hint=_is_it_up(server)
        ) from err
    except (paramiko.SSHException, EOFError, OSError) as err:
        if deadline.expired:
            raise DeadlineExceeded(f"{jump.where} did not connect to {server.where} in time") from err
        if not transport.is_active():
            raise Unreachable(f"the connection to {jump.where} broke") from err
        raise _no_answer(server, timeout, f", asked from {jump.where}") from err
    stack.callback(close_channel, channel)
    return Carrier(channel, lambda: close_channel(channel))


def _program(server: Server, stack: ExitStack) -> Carrier:
    """The program of ProxyCommand, at the other end of a socket pair.

    paramiko's ProxyCommand reads on without end when its program has ended, and leaves it behind.
    """
    ours, theirs = socket.socketpair()
    errors = tempfile.TemporaryFile()  # noqa: SIM115 - the stack closes it
    stack.callback(errors.close)
    with theirs:
        process = subprocess.Popen(
            # As ssh does, by the user's shell and without leaving that in between.
            [os.environ.get("SHELL") or "/bin/sh", "-c", f"exec {server.proxy_command}"],
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=errors,
            # Without a terminal: it cannot ask anybody anything.
            start_new_session=True,
        )
    stack.callback(_end, process)
    stack.callback(ours.close)

    def said() -> str:
        errors.seek(0, os.SEEK_END)
        errors.seek(max(0, errors.tell() - STDERR_TAIL))
        lines = errors.read().decode("utf-8", "replace").strip().splitlines()
        return f"ProxyCommand: {lines[-1]}" if lines else ""

    def missing() -> bool:
        # its end of the socket is closed a moment before it has ended
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_ENDS_ALONE_WITHIN)
        # what every shell ends with for one that it does not find, or may not start
        return process.poll() in (126, 127)

    return Carrier(ours, lambda: _shut(ours), said, missing)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Its socket is closed already: most end by that. One that became another user (by sudo) is not ours to
    end: it ends by that, or stays.
    """
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=_ENDS_ALONE_WITHIN)
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        with suppress(PermissionError, ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=_ENDS_WITHIN)


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # closed already


def close_channel(channel: paramiko.Channel) -> None:
    """Close it, also when its connection has ended before, or is being ended by another thread."""
    import paramiko

    try:
        channel.close()
    except (EOFError, OSError, paramiko.SSHException):
        pass  # the connection went first, and the channel with it


def _no_answer(server: Server, seconds: float, asked: str = "") -> Unreachable:
    return Unreachable(
        f"no answer from {server.where} within {seconds:.0f} s{asked}",
        hint=f"is {_thing(server)} up, and does its firewall allow SSH?",
    )


def _where_named(server: Server) -> str:
    if server.is_jump:
        return "check ProxyJump in ssh's configuration"
    return "check ansible_host in the inventory"


def _is_it_up(server: Server) -> str:
    return f"is {_thing(server)} up, and its sshd running?"


def _thing(server: Server) -> str:
    return "the jump host" if server.is_jump else "the VM"
