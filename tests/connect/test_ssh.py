"""SSH connections against a server on loopback: what is trusted, what is offered, what ends them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import paramiko
import pytest
from ssh_server import ssh_server

from labctl.agent import Op, start_agent
from labctl.connect import open_connection
from labctl.deadline import Deadline
from labctl.errors import (
    AgentFault,
    AuthRefused,
    DeadlineExceeded,
    HostError,
    HostKeyChanged,
    HostKeyUnknown,
    PythonMissing,
    Unreachable,
)
from labctl.inventory import Host

pytestmark = pytest.mark.slow


class Keys:
    """A client's key pair, a host's, and the known_hosts that pins it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.client = paramiko.ECDSAKey.generate()
        self.host = paramiko.ECDSAKey.generate()
        self.file = directory / "id"
        self.client.write_private_key_file(str(self.file))

    def known(self, port: int, key: paramiko.PKey | None = None) -> Path:
        key = key or self.host
        path = self.directory / "known_hosts"
        path.write_text(f"[127.0.0.1]:{port} {key.get_name()} {key.get_base64()}\n")
        return path

    def target(self, port: int, known_hosts: Path | None = None, **variables: Any) -> Host:
        values = {
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(self.file),
            "labctl_known_hosts": str(known_hosts or self.known(port)),
            **variables,
        }
        return Host("vm", values)


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_the_agent_over_ssh_uses_one_connection_and_one_channel(keys: Keys) -> None:
    with (
        ssh_server(keys.host, keys.client) as (port, seen),
        start_agent(keys.target(port), Deadline.after(20)) as agent,
    ):
        for _ in range(3):
            ops = [Op("outcome", {})] * 5
            assert len(list(agent.call(ops, Deadline.after(10)))) == 5
        assert agent.round_trips == 4
    # also when the connection is closed
    assert agent.connection.host_key == keys.host.fingerprint
    assert seen.connections == 1
    assert len(seen.commands) == 1


def test_a_changed_host_key_runs_nothing(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client) as (port, seen):
        known = keys.known(port, paramiko.ECDSAKey.generate())
        with pytest.raises(HostKeyChanged, match="nothing was run"):
            open_connection(keys.target(port, known), Deadline.after(10))
    assert seen.auth_attempts == []
    assert seen.commands == []


def test_another_kind_of_key_than_the_one_on_record_is_a_change_too(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client) as (port, seen):
        known = keys.known(port, paramiko.RSAKey.generate(2048))
        with pytest.raises((HostKeyChanged, HostKeyUnknown)):
            open_connection(keys.target(port, known), Deadline.after(10))
    assert seen.auth_attempts == []


def test_an_unknown_host_key_runs_nothing(keys: Keys) -> None:
    empty = keys.directory / "empty"
    empty.write_text("")
    with ssh_server(keys.host, keys.client) as (port, seen), pytest.raises(HostKeyUnknown) as caught:
        open_connection(keys.target(port, empty), Deadline.after(10))
    assert "SHA256:" in caught.value.hint
    assert seen.auth_attempts == []
    assert empty.read_text() == ""


def test_a_refused_key_is_offered_once_and_nobody_is_asked(
    keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asked(*_: object) -> str:
        raise AssertionError("the user was asked for something")

    monkeypatch.setattr("builtins.input", asked)
    monkeypatch.setattr("getpass.getpass", asked)
    with ssh_server(keys.host, None) as (port, seen), pytest.raises(AuthRefused):
        open_connection(keys.target(port), Deadline.after(10))
    assert seen.auth_attempts == ["publickey"]


@pytest.mark.parametrize("mode", ["silent", "drip", "endless", "line", "packet"])
def test_a_server_that_never_gets_anywhere_meets_the_deadline(keys: Keys, mode: str) -> None:
    with ssh_server(keys.host, keys.client, mode) as (port, _):
        started = time.monotonic()
        with pytest.raises(HostError) as caught:
            open_connection(keys.target(port), Deadline.after(1.5))
        assert time.monotonic() - started < 20
    assert isinstance(caught.value, DeadlineExceeded | Unreachable)


@pytest.mark.parametrize("mode", ["torrent", "window", "errors", "bomb", "frame", "escapes"])
def test_a_server_that_sends_too_much_or_nonsense_is_cut_off(keys: Keys, mode: str) -> None:
    """Long before the deadline, and with little memory; see tests/cli/test_hostile.py for that."""
    with ssh_server(keys.host, keys.client, mode) as (port, _):
        started = time.monotonic()
        with pytest.raises(AgentFault):
            start_agent(keys.target(port), Deadline.after(60))
        assert time.monotonic() - started < 30


def test_a_server_that_ends_it_in_words_that_are_no_text_is_a_fault_of_its_own(keys: Keys) -> None:
    refused = pytest.raises(AgentFault, match="refused to start a program")
    with ssh_server(keys.host, keys.client, "goodbye") as (port, _), refused:
        start_agent(keys.target(port), Deadline.after(20))


def test_a_server_that_closes_is_unreachable(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client, "closed") as (port, _), pytest.raises(Unreachable):
        open_connection(keys.target(port), Deadline.after(5))


def test_a_closed_port_is_unreachable_at_once(keys: Keys) -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable, match="refused"):
        open_connection(keys.target(1), Deadline.after(30))
    assert time.monotonic() - started < 20


def test_a_name_that_does_not_resolve_says_so(keys: Keys) -> None:
    with pytest.raises(Unreachable, match="does not resolve"):
        open_connection(keys.target(22, ansible_host="no-such-host.invalid"), Deadline.after(10))


def test_a_missing_python_is_named(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client) as (port, _):
        host = keys.target(port, ansible_python_interpreter="python3.99")
        with pytest.raises(PythonMissing):
            start_agent(host, Deadline.after(10))


@pytest.mark.parametrize(("content", "message"), [(None, "cannot read"), ("nonsense", "not a private key")])
def test_a_bad_key_file_is_named(keys: Keys, content: str | None, message: str) -> None:
    path = keys.directory / "other"
    if content:
        path.write_text(content)
    wrong = f"{message}.*{path}|{path}.*{message}"
    with ssh_server(keys.host, keys.client) as (port, seen), pytest.raises(AuthRefused, match=wrong):
        open_connection(keys.target(port, ansible_ssh_private_key_file=str(path)), Deadline.after(5))
    assert seen.auth_attempts == []


def test_much_on_stderr_does_not_hold_up_the_rest(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client) as (port, _):
        connection = open_connection(keys.target(port), Deadline.after(20))
        command = "head -c 5000000 /dev/zero >&2; echo there"
        stream = connection.execute(command, Deadline.after(20))
        assert stream.read(100, Deadline.after(20)) == b"there\n"
        connection.close()


def test_no_thread_is_left_behind(keys: Keys) -> None:
    before = threads()
    with ssh_server(keys.host, keys.client) as (port, _):
        start_agent(keys.target(port), Deadline.after(20)).close()
    until = time.monotonic() + 5
    while threads() > before and time.monotonic() < until:
        time.sleep(0.05)
    assert threads() <= before


def threads() -> int:
    """All but the one for the deadlines of all connections, which stays."""
    return sum(one.name != "deadlines" for one in threading.enumerate())


@contextmanager
def deafened(port: int, deaf: threading.Event) -> Iterator[int]:
    """The way to ``port``, on which nothing that the client sends is read once it is ``deaf``."""
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

        def forward(source: socket.socket, target: socket.socket, stop: threading.Event) -> None:
            with suppress(OSError):
                while not stop.is_set() and (data := source.recv(4096)):
                    target.sendall(data)

        def serve() -> None:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            stack.callback(client.close)
            stack.callback(server.close)
            for args in ((client, server, deaf), (server, client, threading.Event())):
                threading.Thread(target=forward, args=args, daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])


def test_a_server_that_stops_reading_meets_the_deadline(keys: Keys) -> None:
    deaf = threading.Event()
    with ssh_server(keys.host, keys.client) as (inner, _), deafened(inner, deaf) as port:
        connection = open_connection(keys.target(port), Deadline.after(10))
        connection._login.transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)  # type: ignore[attr-defined]
        stream = connection.execute("cat", Deadline.after(10))
        deaf.set()
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            stream.write(b"x" * (1 << 20), Deadline.after(1.5))
        with pytest.raises(AgentFault):
            stream.write(b"more", Deadline.after(10))
        stream.close()
        connection.close()
        assert time.monotonic() - started < 9


def test_closing_does_not_wait_for_a_server_that_does_not_read(keys: Keys) -> None:
    deaf = threading.Event()
    with ssh_server(keys.host, keys.client) as (inner, _), deafened(inner, deaf) as port:
        connection = open_connection(keys.target(port), Deadline.after(10))
        transport = connection._login.transport  # type: ignore[attr-defined]
        transport.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        stream = connection.execute("cat", Deadline.after(10))
        deaf.set()

        def send() -> None:
            with suppress(EOFError, OSError):
                for _ in range(100):
                    transport.send_ignore(30000)

        stuck = threading.Thread(target=send, daemon=True)
        stuck.start()
        time.sleep(0.5)
        assert stuck.is_alive()
        started = time.monotonic()
        stream.close()
        connection.close()
        assert time.monotonic() - started < 5
