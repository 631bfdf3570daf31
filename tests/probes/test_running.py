"""Of several processes of one program the one that counts, by a /proc that is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from labctl.agent.remote.probes import bind, haproxy, running

#: argv, unit and port by pid.
Told = dict[int, tuple[str, str, int]]
TRIED = ("haproxy -db -f /home/alice/try.cfg", "session-3.scope", 9000)
UNIT = (
    "/usr/sbin/haproxy -Ws -f /etc/haproxy/haproxy.cfg -f /etc/haproxy/more -p /x",
    "haproxy.service",
    7000,
)
DEBUGGED = ("named -g -p 5300 -c /root/t.conf", "session-3.scope", 5300)
NAMED = ("/usr/sbin/named -f -u bind -c /etc/bind/mine.conf", "named.service", 53)


def told(processes: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[dict[str, Any]] = [{"pid": pid, "port": one[2]} for pid, one in processes.items()]
    monkeypatch.setattr(running.os, "listdir", lambda _: ["self", *map(str, processes)])
    monkeypatch.setattr(running, "argv_of", lambda pid: processes[pid][0].split())
    monkeypatch.setattr(running, "unit_of", lambda pid: processes[pid][1])
    monkeypatch.setattr(running, "listeners", lambda: rows)


@pytest.mark.parametrize(
    ("processes", "files"),
    [
        ({}, ["/etc/haproxy/haproxy.cfg"]),
        ({10: TRIED, 900: UNIT}, ["/etc/haproxy/haproxy.cfg", "/etc/haproxy/more"]),
        ({900: UNIT, 1000: TRIED}, ["/etc/haproxy/haproxy.cfg", "/etc/haproxy/more"]),
        ({10: TRIED}, ["/home/alice/try.cfg"]),
        ({10: ("haproxy -f try.cfg", "session-3.scope", 7000)}, ["/etc/haproxy/haproxy.cfg"]),
        ({10: ("vim -f /etc/passwd", "haproxy.service", 0)}, ["/etc/haproxy/haproxy.cfg"]),
    ],
    ids=["none", "unit-is-younger", "unit-is-older", "by-hand-alone", "relative", "another-program"],
)  # fmt: skip
def test_the_haproxy_of_the_unit_counts(
    processes: Told, files: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told(processes, monkeypatch)
    assert haproxy.files_in_use() == files


def test_of_a_directory_hidden_files_and_others_are_not_read(tmp_path: Path) -> None:
    for name in ("b.cfg", "a.cfg", ".old.cfg", "c.cfg~"):
        (tmp_path / name).write_text("")
    assert haproxy.written_in(str(tmp_path)) == [str(tmp_path / "a.cfg"), str(tmp_path / "b.cfg")]
    assert haproxy.written_in(str(tmp_path / "c.cfg~")) == [str(tmp_path / "c.cfg~")]


@pytest.mark.parametrize(
    ("processes", "config"),
    [
        ({}, "/etc/bind/named.conf"),
        ({10: DEBUGGED, 900: NAMED}, "/etc/bind/mine.conf"),
        (
            {10: DEBUGGED, 20: ("named -c /root/53.conf", "", 53)},
            "/root/53.conf",
        ),
        ({10: DEBUGGED, 900: ("named -f", "bind9.service", 53)}, "/etc/bind/named.conf"),
    ],
    ids=["none", "unit", "port", "unit-without-a-name"],
)  # fmt: skip
def test_the_named_of_the_unit_counts_else_the_one_on_port_53(
    processes: Told, config: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(processes, monkeypatch)
    assert bind.in_use() == (config, "")
