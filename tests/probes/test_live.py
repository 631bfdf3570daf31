"""Probes against real servers on this machine: an agent, sockets, a real named where there is one."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import pytest
from balanced import free_block
from waiting import wait_for

from labctl.agent import Agent, start_agent
from labctl.deadline import Deadline
from labctl.inventory import local_host
from labctl.probes import (
    DnsAnswer,
    Observer,
    Replies,
    Request,
    StaffLink,
    Vantage,
    dns_query,
    http_sample,
    sockets,
)

NAMED = "/usr/sbin/named"
T = TypeVar("T")
BOTH: list[Vantage] = ["vm", "outside"]


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with start_agent(local_host(), Deadline.after(20), become=False) as started:
        yield started


def fetch(agent: Agent, request: Request[T], seconds: float = 30.0) -> T:
    found = Observer(agent, StaffLink(None)).fetch([request], Deadline.after(seconds))
    value: T = found[request.key].value
    return value


@contextmanager
def server(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """A TCP server; ``answer`` is called with each connection."""
    link = socket.create_server(("127.0.0.1", 0))
    link.settimeout(0.1)
    over = threading.Event()

    def serve() -> None:
        while not over.is_set():
            try:
                client, _ = link.accept()
            except TimeoutError:
                continue
            with client:
                try:
                    client.recv(4096)
                    answer(client)
                except OSError:
                    continue

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield link.getsockname()[1]
    finally:
        over.set()
        thread.join()
        link.close()


CUT_IN_A_LETTER = b"m\xc3\xbcllers-diens\xc3"
LISTENS = f"""
import ctypes, socket, time
ctypes.CDLL(None).prctl(15, {CUT_IN_A_LETTER!r}, 0, 0, 0)
link = socket.create_server(("127.0.0.1", 0))
print(link.getsockname()[1], flush=True)
time.sleep(60)
"""


def test_a_name_that_the_kernel_cut_in_the_middle_of_a_letter_is_told_as_far_as_it_goes(agent: Agent) -> None:
    with subprocess.Popen([sys.executable, "-c", LISTENS], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            port = int(program.stdout.readline())
            (found,) = (one for one in fetch(agent, sockets()).listening if one.port == port)
            assert found.process == "müllers-diens\ufffd"
        finally:
            program.kill()


def test_a_socket_with_a_name_of_any_bytes_keeps_nobody_from_looking() -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.bind(b"\0\xff\xfe of somebody's")
        with start_agent(local_host(), Deadline.after(20), become=False) as started:
            assert fetch(started, sockets()).listening


@pytest.mark.parametrize("vantage", BOTH)
class TestHttp:
    def test_answers_in_order_on_a_connection_each(self, agent: Agent, vantage: Vantage) -> None:
        seen: list[int] = []

        def answer(client: socket.socket) -> None:
            seen.append(client.getpeername()[1])
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n%d\n" % (len(seen) % 10))

        with server(answer) as port:
            replies = fetch(agent, http_sample("127.0.0.1", port, count=5, vantage=vantage))
        assert [one.body for one in replies.replies] == ["1\n", "2\n", "3\n", "4\n", "5\n"]
        assert len(set(seen)) == 5

    @pytest.mark.parametrize("end", [b"\r\n", b"\n"])
    def test_a_connection_that_the_server_leaves_open_is_not_used_again(
        self, agent: Agent, vantage: Vantage, end: bytes
    ) -> None:
        """One connection answers only once here: whoever asks on it again waits in vain."""
        seen: list[int] = []

        def answer(client: socket.socket) -> None:
            seen.append(client.getpeername()[1])
            lines = (b"HTTP/1.1 200 OK", b"Connection: keep-alive", b"Content-Length: 1", b"", b"x")
            client.sendall(end.join(lines))
            client.settimeout(5)
            client.recv(100)

        with server(answer) as port:
            replies = fetch(agent, http_sample("127.0.0.1", port, count=4, wait=1.0, vantage=vantage))
        assert [one.status for one in replies.replies] == [200] * 4
        assert len(set(seen)) == 4

    def test_nobody_listens(self, agent: Agent, vantage: Vantage) -> None:
        replies = fetch(agent, http_sample("127.0.0.1", free_block(1), count=24, vantage=vantage))
        assert (replies.trouble, len(replies.replies)) == ("refused", 2)

    def test_closed_without_an_answer(self, agent: Agent, vantage: Vantage) -> None:
        with server(lambda client: None) as port:
            assert fetch(agent, http_sample("127.0.0.1", port, vantage=vantage)).trouble == "reset"

    def test_another_protocol(self, agent: Agent, vantage: Vantage) -> None:
        with server(lambda client: client.sendall(b"SSH-2.0-x\r\n" * 5)) as port:
            assert fetch(agent, http_sample("127.0.0.1", port, vantage=vantage)).trouble == "not-http"

    @pytest.mark.parametrize("length", [b"9" * 5000, b"-1", b"x"])
    def test_a_length_that_cannot_be(self, agent: Agent, vantage: Vantage, length: bytes) -> None:
        head = b"HTTP/1.1 200 OK\r\nContent-Length: " + length + b"\r\n\r\nhello"
        with server(lambda client: client.sendall(head)) as port:
            assert fetch(agent, http_sample("127.0.0.1", port, vantage=vantage)).replies[0].body == "hello"

    def test_a_redirect_is_not_followed(self, agent: Agent, vantage: Vantage) -> None:
        head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
        with server(lambda client: client.sendall(head)) as port:
            assert fetch(agent, http_sample("127.0.0.1", port, vantage=vantage)).replies[0].status == 302

    def test_a_drip_is_cut_off(self, agent: Agent, vantage: Vantage) -> None:
        def drip(client: socket.socket) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\n")
            for _ in range(200):
                client.sendall(b"x")
                time.sleep(0.2)

        with server(drip) as port:
            request = http_sample("127.0.0.1", port, wait=1.0, vantage=vantage)
            began = time.monotonic()
            replies = fetch(agent, request, seconds=3.0)
            assert time.monotonic() - began < 20
        assert not isinstance(replies, Replies) or replies.replies[0].status == 0

    def test_a_flood_is_cut_off(self, agent: Agent, vantage: Vantage) -> None:
        def flood(client: socket.socket) -> None:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            for _ in range(2000):
                client.sendall(b"x" * 65536)

        with server(flood) as port:
            replies = fetch(agent, http_sample("127.0.0.1", port, vantage=vantage, body=200))
        assert replies.replies[0].body == "x" * 200


def test_no_proxy_of_the_environment_is_used(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with server(lambda client: client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")) as port:
        assert fetch(agent, http_sample("127.0.0.1", port, vantage="outside")).replies[0].status == 200


def looked(agent: Agent, ports: Sequence[int], port_of_vm: int) -> set[str]:
    """The threads that looked at ``ports`` from outside while the VM looked at another of its own."""
    threads: set[str] = set()
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            threads.update(one.name for one in threading.enumerate() if one.name.startswith("outside"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    wave = [http_sample("127.0.0.1", port, vantage="outside", wait=1.5) for port in ports]
    wave.append(http_sample("127.0.0.1", port_of_vm))
    found = Observer(agent, StaffLink(None)).fetch(wave, Deadline.after(30))
    over.set()
    watcher.join()
    assert len(found) == len(wave)
    return threads


@pytest.mark.slow
def test_one_thread_looks_from_outside_while_that_is_quick_and_many_when_it_waits(agent: Agent) -> None:
    def quick(client: socket.socket) -> None:
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")

    def slow(client: socket.socket) -> None:
        time.sleep(1.0)
        quick(client)

    with server(slow) as vm, ExitStack() as stack:
        ports = [stack.enter_context(server(quick)) for _ in range(6)]
        assert len(looked(agent, ports, vm)) == 1
    with server(quick) as vm, ExitStack() as stack:
        silent = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(6)]
        assert len(looked(agent, [one.getsockname()[1] for one in silent], vm)) == 6


ZONE = """\
$TTL 60
@ SOA ns.example.com. root.example.com. ( 7 1h 15m 30d 2h )
@ NS ns
@ A 10.77.0.11
ns A 10.77.0.11
big TXT {big}
"""


@pytest.fixture(scope="module")
def named(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A real BIND with example.com, on a free port."""
    folder = tmp_path_factory.mktemp("named")
    port = free_block(1)
    big = "\nbig TXT ".join(f'"{n:0250d}"' for n in range(8))
    (folder / "db").write_text(ZONE.format(big=big))
    (folder / "named.conf").write_text(
        f"""options {{ directory "{folder}"; pid-file "{folder}/pid"; session-keyfile "{folder}/key";
        listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
        recursion no; dnssec-validation no; }};
        controls {{ }};
        zone "example.com" {{ type master; file "{folder}/db"; }};\n"""
    )
    process = subprocess.Popen([NAMED, "-f", "-c", str(folder / "named.conf")], stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: answers(port), "named answers")
        yield port
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    from labctl.probes.dns import ask_outside

    args = dns_query("example.com", "SOA", port=port, tcp=True).args
    return ask_outside(args, 1.0).answered


@pytest.mark.parametrize("vantage", BOTH)
@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
class TestDns:
    def ask(self, agent: Agent, port: int, name: str, kind: str, vantage: Vantage, tcp: bool) -> DnsAnswer:
        return fetch(agent, dns_query(name, kind, port=port, tcp=tcp, vantage=vantage))

    def test_an_answer(self, agent: Agent, named: int, vantage: Vantage, tcp: bool) -> None:
        answer = self.ask(agent, named, "example.com", "A", vantage, tcp)
        assert (answer.rcode, answer.authoritative, answer.recursion) == ("NOERROR", True, False)
        assert answer.data("A") == ("10.77.0.11",)

    def test_no_such_name(self, agent: Agent, named: int, vantage: Vantage, tcp: bool) -> None:
        answer = self.ask(agent, named, "nonce.example.com", "A", vantage, tcp)
        assert (answer.rcode, answer.authoritative) == ("NXDOMAIN", True)

    def test_not_its_zone(self, agent: Agent, named: int, vantage: Vantage, tcp: bool) -> None:
        assert self.ask(agent, named, "example.org", "A", vantage, tcp).rcode == "REFUSED"

    def test_an_answer_too_long_for_udp(self, agent: Agent, named: int, vantage: Vantage, tcp: bool) -> None:
        assert len(self.ask(agent, named, "big.example.com", "TXT", vantage, tcp).data("TXT")) == 8

    def test_nobody_listens(self, agent: Agent, vantage: Vantage, tcp: bool) -> None:
        answer = self.ask(agent, free_block(1), "example.com", "A", vantage, tcp)
        assert (answer.status, str(answer)) == ("refused", "nobody listens there")


@pytest.mark.parametrize("vantage", BOTH)
def test_a_tcp_server_that_sends_nonsense(agent: Agent, vantage: Vantage) -> None:
    junk = struct.pack("!H", 40) + b"\xff" * 40
    with server(lambda client: client.sendall(junk)) as port:
        answer = fetch(agent, dns_query("example.com", "A", port=port, tcp=True, vantage=vantage))
    assert not answer.authoritative
    assert answer.rcode != "NXDOMAIN"
