"""What of the agent is sent to a VM, and when."""

from __future__ import annotations

import marshal
import subprocess
import sys
import zlib
from pathlib import Path
from types import CodeType
from typing import Any

import pytest
from pythons import here

from labctl.agent import LOGIN_USER, Launch, Op, bundle, remote, start_agent_on
from labctl.connect import open_connection
from labctl.connect.local import LocalStream
from labctl.deadline import Deadline
from labctl.inventory import local_host

ROOT = Path(remote.__path__[0])
NAMES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.rglob("*.py")
    if path.stem not in ("__init__", "loader")
)
#: Imports each module where there is nothing but what would be sent with it.
IMPORTS = """
import importlib, sys
for name in sys.argv[2:]:
    sys.path[0] = sys.argv[1] + "/" + name
    importlib.invalidate_caches()
    importlib.import_module("labctl_agent." + name)
    for loaded in [one for one in sys.modules if one.startswith("labctl_agent")]:
        del sys.modules[loaded]
"""


def unpacked(packed: bytes) -> dict[str, Any]:
    document: dict[str, Any] = marshal.loads(zlib.decompress(packed))
    return document


def test_with_each_module_goes_all_that_it_imports(tmp_path: Path) -> None:
    for name in NAMES:
        document = unpacked(bundle.packed(bundle.needed([name])))
        for module, source in document["modules"].items():
            place = tmp_path.joinpath(name, *module.split("."))
            path = place / "__init__.py" if module in document["packages"] else place.with_suffix(".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
    argv = [sys.executable, "-c", IMPORTS, str(tmp_path), *NAMES]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_an_op_takes_along_little_else() -> None:
    assert bundle.needed(["modules.ping"]) == {"", "modules", "modules.ping", "outcome"}
    assert bundle.needed(["modules.nothing"]) == frozenset()
    # the first of TCP's windows holds 14 kB: more would cost every start a round trip
    assert len(Launch("python3", become=True).payload) < 14_000


def test_compiled_code_tells_nothing_of_this_machine() -> None:
    packed = bundle.packed(frozenset(NAMES), compiled=True)
    assert all(isinstance(one, CodeType) for one in unpacked(packed)["modules"].values())
    assert str(ROOT).encode() not in zlib.decompress(packed)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What is written to agents on this machine."""
    parts: list[bytes] = []
    write = LocalStream.write

    def keep(self: LocalStream, data: bytes, deadline: Deadline) -> None:
        parts.append(data)
        write(self, data, deadline)

    monkeypatch.setattr(LocalStream, "write", keep)
    return parts


@pytest.mark.parametrize("python", here("3.8", "3.9", "3.10", "3.12"))
@pytest.mark.parametrize("known", [False, True], ids=["later", "at once"])
def test_modules_are_sent_once_and_in_the_form_that_its_python_reads(
    python: str, known: bool, written: list[bytes]
) -> None:
    ops = [Op("modules.ping", {"data": "here"}), Op("probes.file", {"path": "/etc/passwd", "cap": 10})]
    deadline = Deadline.after(20)
    host = local_host(ansible_python_interpreter=python)
    connection = open_connection(host, deadline)
    with start_agent_on(
        connection, deadline, Launch(host.python, become=False), ops if known else ()
    ) as agent:
        ours = agent.hello.magic == bundle.MAGIC
        for _ in range(2):
            assert all(result.value for result in agent.call(ops, deadline))
        assert agent.round_trips == (2 if known else 3)
    modules = bundle.needed([op.name for op in ops]) - bundle.core()
    compiled, source = bundle.frame(modules, bundle.MAGIC), bundle.frame(modules, "")
    sent = b"".join(written)
    assert sent.count(compiled) == (1 if known or ours else 0)
    assert sent.count(source) == (0 if ours else 1)


def test_a_first_call_goes_with_the_start(written: list[bytes]) -> None:
    ops = [Op("modules.ping", {"data": "here" * 1000}), Op("modules.ping", {}, user=LOGIN_USER)]
    deadline = Deadline.after(20)
    connection = open_connection(local_host(), deadline)
    with start_agent_on(connection, deadline, Launch(sys.executable, become=False), ops) as agent:
        before = len(written)
        values = [result.value for result in agent.call(ops, deadline)]
        assert [value and value["ping"] for value in values] == ["here" * 1000, "pong"]
        assert (len(written), agent.round_trips) == (before, 1)
