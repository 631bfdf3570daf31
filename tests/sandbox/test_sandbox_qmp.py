"""QEMU's control socket and the clock's serial port, against servers that play QEMU."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import SandboxError
from labctl.sandbox import clock
from labctl.sandbox.qmp import Qmp, snapshot_names

GREETING = b'{"QMP": {"version": {}, "capabilities": []}}\n'
LISTING = """\
List of snapshots present on all disks:
ID        TAG               VM SIZE                DATE     VM CLOCK     ICOUNT
--        bare              179 MiB 2026-11-20 23:30:00 00:00:25.012
--        with-bind         201 MiB 2026-11-20 23:31:00 00:01:25.012
"""

Answer = Callable[[dict[str, Any]], bytes]


def _serve(path: Path, talk: Callable[[socket.socket], None]) -> threading.Thread:
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(str(path))
    server.listen(1)

    def run() -> None:
        with server:
            link, _ = server.accept()
            with link:
                talk(link)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def _qemu(path: Path, answer: Answer) -> threading.Thread:
    def talk(link: socket.socket) -> None:
        link.sendall(GREETING)
        with link.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                if request["execute"] == "qmp_capabilities":
                    link.sendall(b'{"return": {}}\n')
                else:
                    link.sendall(answer(request))

    return _serve(path, talk)


def test_events_before_the_answer_are_passed_over(tmp_path: Path) -> None:
    _qemu(tmp_path / "q", lambda _: b'{"event": "STOP", "timestamp": {}}\n{"return": "\\r\\n"}\n')
    with Qmp(tmp_path / "q", timeout=5) as monitor:
        assert monitor.monitor("savevm x") == "\r\n"


def test_a_refusal_in_words_is_an_error(tmp_path: Path) -> None:
    _qemu(tmp_path / "q", lambda _: b'{"return": "Error: Snapshot \'x\' does not exist\\r\\n"}\n')
    with Qmp(tmp_path / "q", timeout=5) as monitor, pytest.raises(SandboxError, match="does not exist"):
        monitor.monitor("loadvm x")


def test_a_refusal_by_protocol_is_an_error(tmp_path: Path) -> None:
    _qemu(tmp_path / "q", lambda _: b'{"error": {"class": "CommandNotFound", "desc": "no such thing"}}\n')
    with Qmp(tmp_path / "q", timeout=5) as monitor, pytest.raises(SandboxError, match="no such thing"):
        monitor.execute("frobnicate")


def test_silence_ends_at_the_deadline(tmp_path: Path) -> None:
    _qemu(tmp_path / "q", lambda _: b"")
    with (
        Qmp(tmp_path / "q", timeout=0.2) as monitor,
        pytest.raises(SandboxError, match="did not answer stop"),
    ):
        monitor.execute("stop")


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH\r\n", b"[]\n", b'{"return": 1}\n'])
def test_something_else_behind_the_socket(tmp_path: Path, greeting: bytes) -> None:
    _serve(tmp_path / "q", lambda link: link.sendall(greeting))
    with pytest.raises(SandboxError), Qmp(tmp_path / "q", timeout=5):
        pass


def test_nobody_behind_the_socket(tmp_path: Path) -> None:
    with pytest.raises(SandboxError, match="cannot talk to QEMU"), Qmp(tmp_path / "q", timeout=1):
        pass


def test_a_path_longer_than_a_socket_name_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.chdir(deep)
    _qemu(Path("q"), lambda _: b'{"return": "ok"}\n')
    with Qmp(deep / "q", timeout=5) as monitor:
        assert monitor.execute("x") == "ok"


def test_snapshots_are_read_from_the_monitors_table() -> None:
    assert snapshot_names(LISTING) == ["bare", "with-bind"]
    assert snapshot_names("There is no snapshot available.\r\n") == []


def test_the_clock_is_believed_only_when_it_says_the_time_it_was_given(tmp_path: Path) -> None:
    heard: list[bytes] = []

    def talk(link: socket.socket) -> None:
        with link.makefile("rb") as lines:
            for line in lines:
                heard.append(line)
                if line.startswith(b"set"):
                    link.sendall(b"half a line of befo\nset 1.000\nready\n")
                    link.sendall(line.replace(b"\n", b"\r\n"))

    _serve(tmp_path / "c", talk)
    assert clock.set_clock(tmp_path / "c", timeout=5) < 5
    assert heard[0] == b"\n"


def test_a_clock_that_does_not_answer_is_an_error(tmp_path: Path) -> None:
    def talk(link: socket.socket) -> None:
        while link.recv(100):
            pass

    _serve(tmp_path / "c", talk)
    with pytest.raises(SandboxError, match="did not set its clock"):
        clock.set_clock(tmp_path / "c", timeout=0.3)
