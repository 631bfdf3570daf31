"""A PostgreSQL server that goes, or falls silent, in the middle of a class."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql import Postgresql
from psycopg import OperationalError
from tiny import Course
from waiting import wait_for

from labctl.store import StoreError, open_store, timed

pytestmark = pytest.mark.slow


class Proxy:
    """A TCP port that leads to the server's socket, until :meth:`gone` or :meth:`silent`."""

    def __init__(self, server: Postgresql) -> None:
        self._server = str(server.directory / ".s.PGSQL.5432")
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._links: list[socket.socket] = []
        self._forwards = threading.Event()
        self._forwards.set()
        self._ended = False
        threading.Thread(target=self._accept, daemon=True).start()

    def url(self, database: str) -> str:
        name = re.sub(r".*@/(\w+)\?.*", r"\1", database)
        return (
            f"postgresql+psycopg://labctl@127.0.0.1:{self._listening.getsockname()[1]}/{name}?sslmode=disable"
        )

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                server.connect(self._server)
                self._links += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._forwards.wait()
                if self._ended:
                    return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def silent(self) -> None:
        """Connections stay, and new ones are taken; nothing goes through any more."""
        self._forwards.clear()

    def gone(self) -> None:
        self._ended = True
        self._forwards.set()
        with contextlib.suppress(OSError):  # accept() ends
            self._listening.shutdown(socket.SHUT_RDWR)
        for one in (self._listening, *self._links):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()


@pytest.fixture
def proxy(server: Postgresql) -> Iterator[Proxy]:
    made = Proxy(server)
    yield made
    made.gone()


@pytest.fixture
def course(tmp_path: Path, server: Postgresql, proxy: Proxy) -> Course:
    made = Course(tmp_path, 12)
    direct = server.url()
    made.url = proxy.url(direct)
    open_store(made.url, create=True).close()
    (tmp_path / "direct").write_text(direct)
    return made


def results(course: Course) -> int:
    store = open_store((course.root / "direct").read_text())
    try:
        return sum(row.attempts for row in store.runs())
    finally:
        store.close()


@pytest.mark.parametrize("resumed", [False, True])
def test_a_server_that_goes_is_told_with_how_to_go_on_and_the_document_is_there(
    course: Course, proxy: Proxy, resumed: bool
) -> None:
    if resumed:
        with course.begin("all", "--forks", "1") as first:
            wait_for(lambda: results(course) >= 2, "first results", seconds=30)
            first.kill()
    before = results(course)
    with course.begin(*(["--resume"] if resumed else ["all"]), "--forks", "1", "--json") as process:
        wait_for(lambda: results(course) >= before + 2, "results", seconds=30)
        proxy.gone()
        out, err = process.communicate(timeout=90)
    assert (process.returncode, "Traceback" in err) == (3, False), err
    assert "What was kept is whole; to go on:\n  labctl grade --resume --run 20" in err
    hosts = json.loads(out)["hosts"]
    assert len(hosts) == 12 - before
    assert {one["error_cause"] for one in hosts if one["score"] is None} == {"not-begun"}
    assert any(one["score"] is not None for one in hosts)


def test_a_server_that_falls_silent_is_given_up(
    course: Course, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "ANSWER_SECONDS", 1.0)
    store = open_store(course.url)
    assert store.runs() == []
    proxy.silent()
    started = time.monotonic()
    with pytest.raises(StoreError, match="timeout"):  # nor is a new connection to be had
        store.runs()
    store.close()
    assert time.monotonic() - started < 20


def test_an_answer_is_waited_for_as_long_as_it_keeps_coming(
    course: Course, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timed, "ANSWER_SECONDS", 1.0)
    with timed.Timed.connect(course.url.replace("+psycopg", "")) as link:
        many = "select repeat('x', 100000) || pg_sleep(0.25)::text from generate_series(1, 8)"
        assert len(link.execute(many).fetchall()) == 8
        proxy.silent()
        with pytest.raises(OperationalError, match="no answer within 1 s"):
            link.execute("select 1")
        assert link.closed


def test_ctrl_c_does_not_wait_for_a_server_that_fell_silent(course: Course, proxy: Proxy) -> None:
    with course.begin("all", "--forks", "1") as process:
        wait_for(lambda: results(course) >= 2, "results", seconds=30)
        proxy.silent()
        time.sleep(1)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=90)
    assert process.returncode == 130, err
    assert "labctl grade --resume --run 20" in err
    assert time.monotonic() - started < 30
