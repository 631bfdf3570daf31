"""The agent on VMs with Python 3.8 and 3.9: a socket that waited too long raises no TimeoutError there."""

from __future__ import annotations

import base64
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pythons import here

from labctl.agent import Op, remote, start_agent
from labctl.agent.remote.probes.trouble import trouble
from labctl.deadline import Deadline
from labctl.inventory import local_host

pytestmark = pytest.mark.slow

Ask = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="module", params=here("3.8", "3.9"))
def python(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def ask(python: str) -> Iterator[Ask]:
    """Has an agent that an old Python runs carry out a probe."""
    host = local_host(ansible_python_interpreter=python)
    with start_agent(host, Deadline.after(30), become=False) as agent:
        yield lambda name, args: agent.call_one(Op(f"probes.{name}", args), Deadline.after(20))


@pytest.fixture
def silent() -> Iterator[int]:
    """A port where connections are accepted, datagrams taken, and nothing is ever said."""
    tcp = socket.create_server(("127.0.0.1", 0))
    with tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(tcp.getsockname())
        yield tcp.getsockname()[1]


def test_late_is_what_the_version_calls_late(monkeypatch: pytest.MonkeyPatch) -> None:
    class OldTimeout(OSError):
        """As socket.timeout was until 3.10."""

    monkeypatch.setattr(socket, "timeout", OldTimeout)
    assert [trouble(err) for err in (OldTimeout("timed out"), TimeoutError(), OSError())] == [
        "timeout",
        "timeout",
        "unreachable",
    ]


def test_every_file_of_the_agent_is_understood(python: str) -> None:
    root = Path(remote.__path__[0])
    names = (path.relative_to(root.parent).with_suffix("") for path in root.rglob("*.py"))
    modules = [".".join(name.parts) for name in sorted(names) if name.stem not in ("__init__", "loader")]
    assert len(modules) > 60
    lines = [f"import {name}" for name in modules]
    done = subprocess.run(
        [python, "-B", "-c", "\n".join(lines)], cwd=root.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_a_web_server_that_says_nothing_is_late(silent: int, ask: Ask) -> None:
    asked = {"address": "127.0.0.1", "port": silent, "path": "/", "count": 1, "wait": 0.2, "body": 10}
    assert [one["error"] for one in ask("http", asked)["replies"]] == ["timeout"]


def test_a_request_that_was_held_open_and_has_no_answer_is_late(silent: int, ask: Ask) -> None:
    shot = {"source": "", "path": "/", "headers": [], "hold": False}
    asked = {"address": "127.0.0.1", "port": silent, "wait": 0.2, "body": 10}
    told = ask("http_shots", {**asked, "shots": [{**shot, "hold": True}, shot]})
    assert [one["error"] for one in told["replies"]] == ["timeout", "timeout"]


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_name_server_that_says_nothing_is_late_and_asked_again(silent: int, ask: Ask, tcp: bool) -> None:
    query = base64.b64encode(b"ab" + bytes(10)).decode()
    asked = {"server": "127.0.0.1", "port": silent, "tcp": tcp, "query": query, "wait": 0.2, "tries": 3}
    told = ask("dns", asked)
    assert told["status"] == "timeout"
    assert told["seconds"] >= 0.6
