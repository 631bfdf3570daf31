"""What carries an SSH connection: names and addresses that lead nowhere, programs that do not end."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from labctl.connect.carrier import open_carrier
from labctl.connect.route import Server
from labctl.deadline import Deadline
from labctl.errors import Unreachable


@pytest.fixture
def silent() -> Iterator[Any]:
    """An address that takes no more connections, as getaddrinfo has it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener, ExitStack() as stack:
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        yield (socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname())


def named(monkeypatch: pytest.MonkeyPatch, addresses: list[Any], seconds: float = 0) -> Server:
    original = socket.getaddrinfo

    def resolve(host: str, *args: Any, **options: Any) -> Any:
        if host != "vm.example" or options.get("flags"):
            return original(host, *args, **options)
        time.sleep(seconds)
        return addresses

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return Server("vm.example", 22, "root", (Path("/dev/null"),))


def test_all_addresses_of_a_name_share_the_deadline(monkeypatch: pytest.MonkeyPatch, silent: Any) -> None:
    server, started = named(monkeypatch, [silent] * 4), time.monotonic()
    with pytest.raises(Unreachable, match=r"no answer from vm.example port 22 within 2 s"):
        open_carrier(server, Deadline.after(2))
    assert time.monotonic() - started < 7


def test_an_address_behind_one_that_is_silent_is_reached(
    monkeypatch: pytest.MonkeyPatch, silent: Any
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        good = (*silent[:4], listener.getsockname())
        carrier = open_carrier(named(monkeypatch, [silent, good]), Deadline.after(6))
        assert carrier.sock.getpeername() == listener.getsockname()
        assert carrier.sock.gettimeout() is None
        carrier.close()


def test_a_name_server_that_does_not_answer_meets_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    server, started = named(monkeypatch, [], seconds=8), time.monotonic()
    with pytest.raises(Unreachable, match=r"no name server said within 1 s what vm.example is"):
        open_carrier(server, Deadline.after(1))
    assert time.monotonic() - started < 7


def test_a_program_that_is_not_ours_to_end_fails_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that became root by sudo: here the kernel's word for it."""
    kill = os.killpg

    def refused(pid: int, number: int) -> None:
        if number == signal.SIGTERM:
            raise PermissionError
        kill(pid, number)

    monkeypatch.setattr(os, "killpg", refused)
    monkeypatch.setattr("labctl.connect.carrier._ENDS_WITHIN", 0.2)
    server = Server("vm", 22, "root", (), proxy_command="sleep 60")
    open_carrier(server, Deadline.after(5)).close()


def test_a_program_that_ends_with_its_connection_is_not_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "killpg", lambda *_: pytest.fail("killed"))
    # it has yet to start, on a machine that has much else to do
    monkeypatch.setattr("labctl.connect.carrier._ENDS_ALONE_WITHIN", 20.0)
    server = Server("vm", 22, "root", (), proxy_command="cat")
    started = time.monotonic()
    open_carrier(server, Deadline.after(5)).close()
    assert time.monotonic() - started < 20
