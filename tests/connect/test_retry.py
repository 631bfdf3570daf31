"""Connecting again: for what may pass, a few times, by the deadline, and for nothing else."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
from ssh_server import ssh_server
from test_ssh import Keys

from labctl.agent import start_agent
from labctl.connect import Retry, open_connection
from labctl.deadline import Deadline
from labctl.errors import AuthRefused, DeadlineExceeded, HostKeyUnknown, Unreachable

pytestmark = pytest.mark.slow


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return Keys(tmp_path)


def test_a_vm_that_comes_up_late_is_reached_and_the_tries_are_told(keys: Keys) -> None:
    """Nothing listens at first; then an SSH server does."""
    with ssh_server(keys.host, keys.client) as (good, seen):
        port = _free_port()
        retry = Retry(tries=100, pause=0.01)

        def come_up() -> None:
            while not retry.failed:
                time.sleep(0.01)
            _forward(port, good)

        threading.Thread(target=come_up).start()
        open_connection(keys.target(port), Deadline.after(20), retry).close()
    assert seen.connections == 1
    assert retry.failed
    assert all("refused" in message for message in retry.failed)


def test_a_vm_that_stays_away_gets_three_tries_with_growing_pauses(keys: Keys) -> None:
    retry = Retry(pause=0.2)
    started = time.monotonic()
    with pytest.raises(Unreachable, match="refused"):
        open_connection(keys.target(1), Deadline.after(20), retry)
    # 0.2 and 0.4 s, half of it at least
    assert 0.3 <= time.monotonic() - started < 15
    assert len(retry.failed) == 2


def test_a_program_that_there_is_not_is_not_tried_again(keys: Keys) -> None:
    retry = Retry(pause=0.01)
    host = keys.target(1, ansible_ssh_common_args="-o 'ProxyCommand no-such-program %h'")
    with pytest.raises(Unreachable, match=r"no-such-program.*not found"):
        open_connection(host, Deadline.after(20), retry)
    assert retry.failed == []


def test_a_server_that_breaks_off_is_tried_again(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client, "closed") as (port, seen), pytest.raises(Unreachable):
        open_connection(keys.target(port), Deadline.after(20), Retry(pause=0.01))
    assert seen.connections == 3


def test_what_another_try_would_not_change_is_not_tried_again(keys: Keys) -> None:
    with ssh_server(keys.host, None) as (port, seen):
        with pytest.raises(AuthRefused):
            open_connection(keys.target(port), Deadline.after(10), Retry(pause=0.01))
        empty = keys.directory / "empty"
        empty.touch()
        with pytest.raises(HostKeyUnknown):
            open_connection(keys.target(port, empty), Deadline.after(10), Retry(pause=0.01))
    assert (seen.connections, seen.auth_attempts) == (2, ["publickey"])


def test_the_deadline_ends_the_tries_and_what_is_told_is_what_happened(keys: Keys) -> None:
    started = time.monotonic()
    with pytest.raises(Unreachable, match="refused"):
        open_connection(keys.target(1), Deadline.after(0.5), Retry(tries=100, pause=0.1))
    assert time.monotonic() - started < 8


def test_an_interrupt_ends_the_pause(keys: Keys) -> None:
    retry = Retry(pause=60)
    threading.Timer(0.2, retry.stop.set).start()
    started = time.monotonic()
    with pytest.raises(Unreachable):
        open_connection(keys.target(1), Deadline.after(300), retry)
    assert time.monotonic() - started < 30


def test_a_start_that_stalls_is_begun_anew_on_a_connection_of_its_own(keys: Keys) -> None:
    """The first connection is taken, and then nothing comes over it any more."""
    with (
        ssh_server(keys.host, keys.client) as (good, seen),
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        listener.settimeout(20)

        def serve() -> None:
            stalled, _ = listener.accept()
            with stalled:
                near, _ = listener.accept()
                _relay(near, good)

        serving = threading.Thread(target=serve)
        serving.start()
        retry = Retry(patience=0.5)
        start_agent(keys.target(listener.getsockname()[1]), Deadline.after(30), retry=retry).close()
        serving.join(20)
    assert seen.connections == 1
    (stalled,) = retry.failed
    assert "in time" in stalled


def test_a_server_that_never_gets_anywhere_has_two_turns_by_the_deadline(keys: Keys) -> None:
    with ssh_server(keys.host, keys.client, "silent") as (port, seen):
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            start_agent(keys.target(port), Deadline.after(4), retry=Retry(patience=1))
        assert time.monotonic() - started < 20
    assert seen.connections == 2


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _forward(port: int, to: int) -> None:
    """Serve one connection to ``port`` by the server at ``to``."""
    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(20)
        near, _ = listener.accept()
    _relay(near, to)


def _relay(near: socket.socket, to: int) -> None:
    far = socket.create_connection(("127.0.0.1", to))

    def copy(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(1 << 16):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    other = threading.Thread(target=copy, args=(far, near))
    other.start()
    copy(near, far)
    other.join(20)
    near.close()
    far.close()
