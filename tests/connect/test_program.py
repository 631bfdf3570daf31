"""Starting programs: with the login where the server bears it, step by step where it does not."""

from __future__ import annotations

import getpass
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from openssh import key_pair, sshd
from ssh_server import ssh_server
from test_ssh import Keys
from waiting import comes

from labctl.agent import Op, start_agent
from labctl.connect import open_connection
from labctl.deadline import Deadline
from labctl.errors import AgentFault, AuthRefused, DeadlineExceeded
from labctl.inventory import Host

pytestmark = pytest.mark.slow

_NEWKEYS = 21


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


class Openssh:
    """A key of ours, and hosts that are reached with it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.key = directory / "id"
        self.public = key_pair(self.key)
        self.user = getpass.getuser()

    def host(self, port: int, known: str) -> Host:
        record = self.directory / "known"
        record.write_text(f"[127.0.0.1]:{port} {known}\n")
        words = {
            "ansible_host": "127.0.0.1",
            "ansible_port": port,
            "ansible_user": self.user,
            "ansible_ssh_private_key_file": str(self.key),
            "labctl_known_hosts": str(record),
        }
        return Host("vm", words)


@pytest.fixture
def openssh(tmp_path: Path) -> Openssh:
    return Openssh(tmp_path)


def is_newkeys(sent: bytes) -> bool:
    """Whether a client that has ``sent`` this has changed to the new keys: until then nothing is hidden."""
    rest = sent.partition(b"\n")[2]
    while len(rest) > 5:
        if rest[5] == _NEWKEYS:
            return True
        rest = rest[4 + int.from_bytes(rest[:4], "big") :]
    return False


@contextmanager
def one_sided(port: int, let_on: threading.Event) -> Iterator[int]:
    """The way to ``port``, on which the client hears nothing after the key exchange until ``let_on``."""
    encrypted = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def out(client: socket.socket, server: socket.socket) -> None:
            sent = b""
            with suppress(OSError):  # either has closed
                while data := client.recv(1 << 16):
                    sent += data
                    if is_newkeys(sent):
                        encrypted.set()
                    server.sendall(data)
                server.shutdown(socket.SHUT_WR)

        def back(client: socket.socket, server: socket.socket) -> None:
            with suppress(OSError):
                while data := server.recv(1 << 16):
                    if encrypted.is_set():
                        let_on.wait(20)
                    client.sendall(data)

        def serve() -> None:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", port))
            with client, server:
                threads = [threading.Thread(target=one, args=(client, server)) for one in (out, back)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        serving = threading.Thread(target=serve)
        serving.start()
        yield int(listener.getsockname()[1])
        let_on.set()
        serving.join(10)


def test_a_program_starts_with_the_login(openssh: Openssh) -> None:
    begun, let_on = openssh.directory / "begun", threading.Event()
    command = f"touch {begun}; cat"
    with sshd(openssh.public, user=openssh.user) as server, one_sided(server.port, let_on) as port:
        threading.Thread(target=lambda: comes(begun.exists, 10) and let_on.set()).start()
        host, deadline = openssh.host(port, server.host_key), Deadline.after(15)
        connection = open_connection(host, deadline, command=lambda is_root: command)
        assert begun.exists(), "it was not started before an answer came"
        stream = connection.execute(command, deadline)
        stream.write(b"there and back\n", deadline)
        assert stream.read(100, deadline) == b"there and back\n"
        # it was that one, and is not had twice
        assert server.count("Starting session") == 1
        second = connection.execute("echo another", deadline)
        assert second.read(100, deadline) == b"another\n"
        connection.close()


def test_the_agent_is_such_a_program(openssh: Openssh) -> None:
    with sshd(openssh.public, user=openssh.user) as server:
        host = openssh.host(server.port, server.host_key)
        with start_agent(host, Deadline.after(20), become=False) as agent:
            assert agent.call_one(Op("modules.ping", {}), Deadline.after(10))["ping"] == "pong"
        assert (server.logins, server.count("Starting session")) == (1, 1)


def test_a_refused_key_is_refused_all_the_same(openssh: Openssh, tmp_path: Path) -> None:
    other = key_pair(tmp_path / "other")
    with sshd(other, user=openssh.user) as server:
        started = time.monotonic()
        with pytest.raises(AuthRefused, match="refused our key"):
            start_agent(openssh.host(server.port, server.host_key), Deadline.after(20))
        assert time.monotonic() - started < 15
        assert server.count("Starting session") == 0


def test_a_key_that_is_not_enough_starts_nothing(openssh: Openssh) -> None:
    both = "AuthenticationMethods publickey,publickey"
    with sshd(openssh.public, both, user=openssh.user) as server:
        with pytest.raises(AuthRefused, match="more than a key"):
            start_agent(openssh.host(server.port, server.host_key), Deadline.after(20))
        assert server.count("Starting session") == 0


def test_a_server_without_sessions_says_so(openssh: Openssh) -> None:
    refusal = pytest.raises(AgentFault, match="refused to start a program")
    with sshd(openssh.public, "MaxSessions 0", user=openssh.user) as server, refusal:
        start_agent(openssh.host(server.port, server.host_key), Deadline.after(20))


def test_a_server_that_does_not_bear_it_is_asked_step_by_step(keys: Keys) -> None:
    with (
        ssh_server(keys.host, keys.client, "numbered") as (port, seen),
        start_agent(keys.target(port), Deadline.after(20)),
    ):
        assert (seen.connections, len(seen.commands)) == (2, 1)


def test_a_server_that_never_says_whether_it_started_meets_the_deadline(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client, "unanswered") as (port, _):
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            start_agent(keys.target(port), Deadline.after(1.5))
        assert time.monotonic() - started < 20
