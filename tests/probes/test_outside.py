"""Looks from outside, from this machine: what they take, and that they are made once."""

from __future__ import annotations

import http.client
import io
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import dns.rdata
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.agent.remote.probes import http as remote_http
from labctl.agent.remote.probes.link import connected
from labctl.deadline import Deadline
from labctl.probes import Observer, StaffLink, Unobserved, bind, dns_query, http_sample, packages
from labctl.probes.kept import kept
from labctl.probes.observer import OUTSIDE_THREADS
from labctl.probes.request import Probe, Request

real = dns.rdata.from_text


@dataclass(frozen=True)
class By:
    thread: str


def looks(count: int, seconds: float) -> list[Request[By]]:
    def look(_args: Any, _seconds: float) -> By:
        time.sleep(seconds)
        return By(threading.current_thread().name)

    probe = Probe("by", By, lambda data: By(data["thread"]), outside=look)
    return [Request(probe, {"number": number}, vantage="outside") for number in range(count)]


def threads_of(requests: list[Request[By]]) -> set[str]:
    found = Observer(None, StaffLink(None)).fetch(requests, Deadline.after(60))
    values = [found[one.key].value for one in requests]
    assert all(isinstance(one, By) for one in values), values
    return {one.thread for one in values if isinstance(one, By)}


def test_what_comes_at_once_takes_one_thread() -> None:
    assert len(threads_of(looks(20, 0.0))) == 1


def test_what_is_waited_for_gets_more_threads_and_only_so_many() -> None:
    assert 1 < len(threads_of(looks(30, 0.3))) <= OUTSIDE_THREADS


def test_what_the_vms_deadline_cuts_short_is_no_observation() -> None:
    requests = looks(24, 2.5)
    found = Observer(None, StaffLink(None)).fetch(requests, Deadline.after(4.5))
    values = [found[one.key].value for one in requests]
    assert isinstance(values[0], By)
    late = [one for one in values if isinstance(one, Unobserved)]
    assert len(late) >= 3
    assert {one.cause for one in late} == {"timeout"}


def test_what_a_vm_says_at_length_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "a" * 2000
    assert dns_query(long, "A") is not dns_query(long, "A")
    assert dns_query(long, "A").key == dns_query(long, "A").key
    read: list[str] = []
    monkeypatch.setattr(
        dns.rdata, "from_text", lambda *args, **options: read.append(args[2]) or real(*args, **options)
    )
    for data in ('"read once"', f'"{long[:250]}" "{long[:250]}"'):
        for _ in range(2):
            assert bind.records_of(f"a.example.com. 60 IN TXT {data}")
    assert [len(one) for one in read] == [11, 505, 505]


@given(st.text(max_size=8), st.binary(max_size=8))
def test_a_result_is_kept_for_what_is_short(one: str, other: bytes) -> None:
    calls = []

    @kept(most=4, small=8)
    def function(*args: Any, **options: Any) -> int:
        calls.append((args, options))
        return len(calls)

    first, again = function(one, key=other), function(one, key=other)
    assert (first == again) == (len(one) + len(other) <= 8)
    assert function(1) != function(True)


def test_a_request_for_the_same_is_the_same() -> None:
    assert http_sample("a", 1) is http_sample("a", 1)
    assert packages("x", "y") is packages("x", "y")
    assert dns_query("a", "A", port=1) is not dns_query("a", "A", port=True)
    assert dns_query("a", "A", port=1).key != dns_query("a", "A", port=True).key


@pytest.fixture(params=["127.0.0.1", "::1"])
def server(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in request.param else socket.AF_INET
    with socket.create_server((request.param, 0), family=family) as listening:
        yield listening


def test_a_number_is_not_looked_up(server: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(*_args: Any, **_options: Any) -> Any:
        raise AssertionError("no name server is asked for a number")

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    address, port = server.getsockname()[:2]
    with connected(address, port, 5.0, (address, 0)) as link:
        assert link.getpeername()[:2] == (address, port)
        assert link.gettimeout() == 5.0


def test_a_name_is_looked_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        with connected("localhost", port, 5.0) as link:
            assert link.getpeername() == ("127.0.0.1", port)


def test_nobody_listens_there(server: socket.socket) -> None:
    address, port = server.getsockname()[:2]
    server.close()
    with pytest.raises(ConnectionRefusedError):
        connected(address, port, 5.0)


_WORDS = st.text("abcDEF:-; 0123456789\tü", max_size=12)
_NAMES = st.sampled_from(["Content-Length", "content-length", "CONTENT-length ", " X-Content-Length", "Date"])
_LINES = st.lists(st.tuples(_NAMES | _WORDS, st.integers(0, 10**9).map(str) | _WORDS), max_size=6)


@given(_LINES, st.sampled_from(["\r\n", "\n"]))
def test_the_length_is_the_first_that_is_one(lines: list[tuple[str, str]], end: str) -> None:
    head = end.join(["HTTP/1.1 200 OK", *(f"{name}:{value}" for name, value in lines)]).encode()
    expected = remote_http.BODY_CAP + 1
    for line in head.split(end.encode())[1:]:
        name, _, value = line.partition(b":")
        if name.strip(b" \t").lower() == b"content-length" and value.strip(b" \t").isdigit():
            expected = int(value)
            break
    assert remote_http.length_of(head) == expected


@given(
    st.lists(st.binary(min_size=1, max_size=30), max_size=5), st.sampled_from(["Chunked", "gzip, chunked"])
)
def test_pieces_are_put_together_as_the_library_does(pieces: list[bytes], said: str) -> None:
    body = b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"
    data = f"HTTP/1.1 200 OK\r\nTransfer-encoding: {said}\r\n\r\n".encode() + body
    library = http.client.HTTPResponse(_Canned(data.replace(b"gzip, ", b"")))  # type: ignore[arg-type]
    library.begin()
    assert remote_http.parse(data, 1000)["body"] == library.read().decode("utf-8", "replace")


class _Canned:
    """As much of a socket as http.client needs to read an answer."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, _mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)
