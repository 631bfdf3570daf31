"""The agent for real: a subprocess on this machine that talks its protocol over pipes."""

from __future__ import annotations

import json
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from waiting import wait_for

from labctl.agent import Agent, Launch, Op, OpResult, start_agent
from labctl.agent import client as client_module
from labctl.deadline import Deadline
from labctl.errors import AgentFault, DeadlineExceeded, PythonMissing, SudoRefused
from labctl.inventory import Host, local_host

OPS = Path(__file__).parent / "ops"


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    """An agent that has the ops of tests/agent/ops besides its own."""
    from labctl.agent import bundle

    own = bundle._file

    def file(name: str) -> Path:
        package, _, op = name.partition(".")
        return OPS / f"{op or '__init__'}.py" if package == "tests" else own(name)

    monkeypatch.setattr(bundle, "_file", file)
    with start_agent(local_host(), Deadline.after(10)) as running:
        yield running


def soon() -> Deadline:
    return Deadline.after(20)


def results(agent: Agent, ops: list[Op], parallel: int = 1) -> list[OpResult]:
    return sorted(agent.call(ops, soon(), parallel), key=lambda r: r.index)


def test_says_who_it_is(agent: Agent) -> None:
    assert agent.hello.uid == os.getuid()
    assert agent.hello.hostname == os.uname().nodename
    assert agent.hello.boot_id == Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def test_many_ops_cost_one_round_trip(agent: Agent) -> None:
    ops = [Op("tests.echo", {"n": n}, isolated=n % 2 == 0) for n in range(40)]
    assert [r.value for r in results(agent, ops, parallel=4)] == [{"n": n} for n in range(40)]
    assert agent.connections == 1
    assert agent.round_trips == 2  # the start and the call


def test_results_stream_as_they_are_done(agent: Agent) -> None:
    ops = [Op("tests.echo", {"n": 1}), Op("tests.hang", {"seconds": 30}, deadline=3.0, isolated=True)]
    started = time.monotonic()
    stream = agent.call(ops, soon())
    assert next(stream).value == {"n": 1}
    assert time.monotonic() - started < 2.9
    assert [r.error.kind for r in stream if r.error] == ["timeout"]


def test_a_hanging_op_is_cut_off_and_the_next_ones_run(agent: Agent) -> None:
    ops = [
        Op("tests.hang", {"seconds": 60}, deadline=0.3, isolated=True),
        Op("tests.hang", {"seconds": 60, "deaf": True}, deadline=0.3, isolated=True),
        Op("tests.echo", {"n": 2}),
    ]
    first, second, third = results(agent, ops)
    assert first.error is not None
    assert first.error.kind == "timeout"
    assert second.error is not None
    assert second.error.kind == "timeout"
    assert third.value == {"n": 2}


def shared(name: str, deadline: float = 10.0, **args: object) -> Op:
    return Op(name, args, deadline=deadline, isolated=True, shared=True)


def pids(found: list[OpResult]) -> list[int | None]:
    """The process that ran each; None for one that came to nothing."""
    return [one.value["pid"] if one.value else None for one in found]


def test_shared_ops_run_in_as_many_processes_as_at_a_time_and_none_is_left(agent: Agent) -> None:
    found = results(agent, [shared("tests.process", seconds=0.01) for _ in range(20)], parallel=3)
    # one that has not begun yet may be slower than another with all of them
    assert 1 <= len(set(pids(found))) <= 3
    assert {one.value["parent"] for one in found if one.value} == {agent.hello.pid}
    wait_for(lambda: not any(alive(pid) for pid in pids(found) if pid), "the children end")


def test_one_that_is_not_shared_has_its_process_to_itself(agent: Agent) -> None:
    alone = Op("tests.process", {}, isolated=True)
    once = shared("tests.process")
    found = pids(results(agent, [once, alone, once, alone, once]))
    assert found[0] == found[2] == found[4]
    assert len({found[0], found[1], found[3]}) == 3


@pytest.mark.parametrize(
    ("broken", "kind"),
    [
        (shared("tests.hang", seconds=60, deadline=0.3), "timeout"),
        (shared("tests.hang", seconds=60, deaf=True, deadline=0.3), "timeout"),
        (shared("tests.vanish"), "crashed"),
    ],
)
def test_one_that_hangs_or_dies_takes_no_other_with_it(agent: Agent, broken: Op, kind: str) -> None:
    once = shared("tests.process")
    found = results(agent, [once, once, broken, once, once])
    assert [one.error.kind if one.error else "" for one in found] == ["", "", kind, "", ""]
    first, second, _, third, fourth = pids(found)
    assert (first, third) == (second, fourth)
    assert first != third


def test_one_that_fails_is_followed_by_others_in_its_process(agent: Agent) -> None:
    once = shared("tests.process")
    found = results(agent, [once, shared("tests.crash"), shared("tests.big", bytes=5 << 20), once])
    assert [one.error.kind if one.error else "" for one in found] == ["", "crashed", "crashed", ""]
    assert pids(found)[0] == pids(found)[3]


def test_a_shared_op_has_its_whole_time_however_late_it_begins(agent: Agent) -> None:
    slow = shared("tests.process", seconds=2.0, deadline=5.0)
    assert all(one.error is None for one in results(agent, [slow, slow, slow]))


def test_a_failure_stops_what_asked_for_it(agent: Agent) -> None:
    ops = [
        Op("tests.echo", {"failed": True, "msg": "no"}),
        Op("tests.echo", {"n": 1}, stop_on_failure=True),
        Op("tests.echo", {"failed": True, "msg": "no"}, stop_on_failure=True),
        Op("tests.echo", {"n": 3}),
    ]
    outcome = results(agent, ops)
    assert [r.failed for r in outcome] == [True, False, True, True]
    assert outcome[3].error is not None
    assert outcome[3].error.kind == "not-run"


@pytest.mark.parametrize(
    ("name", "args", "kind", "text"),
    [
        ("tests.nothing", {}, "unknown-op", "tests.nothing"),
        ("tests.crash", {}, "crashed", "ZeroDivisionError"),
        ("tests.big", {"bytes": 5 << 20}, "crashed", "is the most"),
        ("tests.unserialisable", {}, "crashed", "not JSON"),
        ("tests.vanish", {}, "crashed", "without a result"),
    ],
)
def test_what_goes_wrong_is_a_result(
    agent: Agent, name: str, args: dict[str, int], kind: str, text: str
) -> None:
    (isolated,) = results(agent, [Op(name, args, isolated=True)])
    assert isolated.error is not None
    assert isolated.error.kind == kind
    assert text in isolated.error.message
    if name != "tests.vanish":  # which ends its process, here the agent itself
        (inline,) = results(agent, [Op(name, args)])
        assert inline.error is not None
        assert inline.error.kind == kind


def test_an_op_that_prints_cannot_break_the_protocol(agent: Agent) -> None:
    (result,) = results(agent, [Op("tests.noise", {})])
    assert result.value == {"noisy": True}


def test_an_agent_that_ends_is_a_fault(agent: Agent) -> None:
    with pytest.raises(AgentFault):
        results(agent, [Op("tests.vanish", {})])


def test_an_agent_that_does_not_answer_meets_the_deadline(agent: Agent) -> None:
    os.kill(agent.hello.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(DeadlineExceeded):
            list(agent.call([Op("tests.echo", {})], Deadline.after(0.5)))
        assert time.monotonic() - started < 20
    finally:
        os.kill(agent.hello.pid, signal.SIGCONT)


def test_the_end_of_the_connection_ends_the_agent_and_its_children(agent: Agent) -> None:
    stream = agent.call(
        [Op("tests.hang", {"seconds": 60, "program": True}, deadline=50, isolated=True)], soon()
    )
    import threading

    threading.Thread(target=lambda: list(_quiet(stream)), daemon=True).start()
    wait_for(lambda: len(children_named("labctl-sleeper")) == 1, "the op runs")
    agent._stream._process.stdin.close()  # type: ignore[attr-defined]
    wait_for(lambda: not children_named("labctl-sleeper"), "the op ends")
    wait_for(lambda: not alive(agent.hello.pid), "the agent ends")


@pytest.mark.root
def test_runs_as_another_user(agent: Agent) -> None:
    (result,) = results(agent, [Op("tests.whoami", {}, user="nobody")])
    assert result.value is not None
    assert result.value["uid"] != 0
    (unknown,) = results(agent, [Op("tests.whoami", {}, user="no-such-user")])
    assert unknown.failed
    assert unknown.value is not None
    assert "there is no user 'no-such-user' on the VM" in unknown.value["msg"]


@pytest.mark.root
def test_a_shared_op_is_never_run_as_the_user_of_another(agent: Agent) -> None:
    anybody = shared("tests.whoami")
    as_nobody = Op("tests.whoami", {}, user="nobody", isolated=True, shared=True)
    found = results(agent, [as_nobody, anybody, as_nobody, anybody])
    uids = [one.value["uid"] for one in found if one.value]
    assert uids[1] == uids[3] == 0
    assert uids[0] == uids[2] != 0


def test_no_python_is_named() -> None:
    host = local_host(ansible_python_interpreter="python3.99")
    with pytest.raises(PythonMissing, match=r"python3\.99"):
        start_agent(host, Deadline.after(10))


def test_nothing_is_written_and_the_directory_is_not_trusted(tmp_path: Path) -> None:
    """A json.py or zlib.py where the agent is started is not imported."""
    for name in ("json", "zlib", "labctl_agent", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('imported from the working directory')")
    launch = Launch(sys.executable, become=True)
    done = subprocess.run(
        ["sh", "-c", launch.command(is_root=True)],
        input=launch.payload,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        timeout=20,
        check=False,
    )
    assert done.stdout.startswith(launch.marker)
    assert sorted(path.suffix for path in tmp_path.rglob("*") if path.is_file()) == [".py"] * 4


def test_sudo_never_asks() -> None:
    assert "sudo -n -- python3 -I" in Launch("python3", become=True).command(is_root=False)


def test_the_command_is_one_of_every_login_shell() -> None:
    """In tcsh a variable in front of a command is none."""
    command = Launch("python3", become=True).command(is_root=False)
    assert command.startswith("exec env LC_ALL=C sudo ")
    assert not set(command) & set("!\n")


_END = struct.pack(">I", 20) + b'{"t":"end","call":1}'


class Script:
    """A stream that says what a hostile VM might."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    def write(self, data: bytes, deadline: Deadline) -> None: ...

    def read(self, most: int, deadline: Deadline) -> bytes:
        assert most, "a connection would wait for bytes"
        if not self.data:
            raise EOFError
        part, self.data = self.data[:most], self.data[most:]
        return part

    def wait(self, deadline: Deadline) -> int | None:
        return 0

    def stderr_tail(self) -> bytes:
        return b""

    def close(self) -> None: ...


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


HOSTILE = {
    "nothing": b"",
    "half a length": b"\x00\x00",
    "a huge length": b"\xff\xff\xff\xff",
    "half a body": struct.pack(">I", 100) + b"{",
    "an empty frame": frame(b""),
    "not JSON": frame(b"\xff\xfe{{{"),
    "a list": frame(b"[]"),
    "deep JSON": frame(b"[" * 200_000),
    "another call": frame(b'{"t":"result","call":99,"index":0,"seconds":0,"value":{}}'),
    "an index that was not asked": frame(b'{"t":"result","call":1,"index":7,"seconds":0,"value":{}}'),
    "a true index": frame(b'{"t":"result","call":1,"index":true,"seconds":0,"value":{}}'),
    "an index twice": frame(b'{"t":"result","call":1,"index":0,"seconds":0,"value":{}}') * 2,
    "value and error": frame(b'{"t":"result","call":1,"index":0,"seconds":0,"value":{},"error":3}'),
    "no value": frame(b'{"t":"result","call":1,"index":0,"seconds":0}'),
    "an early end": frame(b'{"t":"end","call":1}'),
    "seconds that are no number": frame(b'{"t":"result","call":1,"index":0,"seconds":NaN,"value":{}}') + _END,
    "endless seconds": frame(b'{"t":"result","call":1,"index":0,"seconds":1e999,"value":{}}') + _END,
    "too many seconds": frame(b'{"t":"result","call":1,"index":0,"seconds":1' + b"0" * 400 + b',"value":{}}')
    + _END,
    "a value that is no number": frame(
        b'{"t":"result","call":1,"index":0,"seconds":0,"value":{"n":-Infinity}}'
    )
    + _END,
    "many small values": frame(
        b'{"t":"result","call":1,"index":0,"seconds":0,"value":{"n":[' + b"{}," * 300_000 + b"1]}}"
    )
    + _END,
    "a string for seconds": frame(b'{"t":"result","call":1,"index":0,"seconds":"1","value":{}}'),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_agent_is_a_fault_of_its_host(name: str) -> None:
    class Closed:
        host = local_host("evil")
        is_root = True

        def close(self) -> None: ...

    hello = client_module.Hello("3.11", 0, "u", "h", "b", 1)
    agent = Agent(Closed(), Script(HOSTILE[name]), hello)  # type: ignore[arg-type]
    with pytest.raises(AgentFault):
        list(agent.call([Op("x", {})], Deadline.after(5)))


def test_a_text_with_many_signs_is_one_value() -> None:
    """A class list, say."""
    text = '[{"a\\": 1}],\n' * 100_000
    body = json.dumps({"t": "result", "call": 1, "text": text}).encode()
    found = client_module._read_frame(Script(frame(body)), Deadline.after(5), local_host())
    assert found["text"] == text


@pytest.mark.parametrize("uid", [b"1e999", b"-1e999", b"NaN", b'"x"', b"[]"])
def test_a_hostile_hello_is_a_fault_of_its_host(uid: bytes) -> None:
    said = b'"user":"u","python":"3","hostname":"h","boot_id":"b","pid":1,"unsettled":false'
    stream = Script(b"marker" + frame(b'{"uid":' + uid + b"," + said + b"}"))
    with pytest.raises(AgentFault):
        client_module._greet(stream, local_host(), [], b"marker", Deadline.after(5))


@pytest.mark.parametrize(
    ("said", "status", "kind", "words"),
    [
        ("sh: 1: exec: sudo: not found", 127, SudoRefused, "there is no sudo"),
        ("bash: line 1: sudo: command not found", 127, SudoRefused, "there is no sudo"),
        ("env: 'sudo': No such file or directory", 127, SudoRefused, "there is no sudo"),
        ("env: »sudo«: Datei oder Verzeichnis nicht gefunden", 127, SudoRefused, "there is no sudo"),
        ("motd: No such file\nsudo: a password is required", 1, SudoRefused, "a password is required"),
        (
            "bash: warning: setlocale: No such file or directory\nsudo: sorry, you must have a tty",
            1,
            SudoRefused,
            "must have a tty",
        ),
        ("/etc/profile: brew: not found\nsudo: python3: command not found", 1, PythonMissing, "python3"),
        ("sudo: unable to resolve host vm\nsudo: python3: command not found", 1, PythonMissing, "python3"),
        ("env: 'python3': No such file or directory", 127, PythonMissing, "python3"),
        ("", 127, PythonMissing, "python3"),
        ("/etc/profile: brew: not found\nKilled", 137, AgentFault, "Killed"),
    ],
)
def test_why_no_agent_starts_is_told(said: str, status: int, kind: type[Exception], words: str) -> None:
    class Ended(Script):
        def wait(self, deadline: Deadline) -> int | None:
            return status

        def stderr_tail(self) -> bytes:
            return said.encode()

    why = client_module._why_no_start(Ended(b""), Host("vm"), Deadline.after(1), EOFError())
    assert type(why) is kind
    assert words in why.message


@pytest.mark.parametrize(
    "noise",
    [b"", b"Welcome to student1!\r\n", b"\x00labctl-agent:other\x00", b"\x00\x00\x00labctl", b"\xff" * 60000],
)
def test_what_the_login_shell_prints_is_skipped(noise: bytes) -> None:
    wanted = Launch("python3", become=False).marker
    stream = Script(noise + wanted + b"rest")
    client_module._skip_to(stream, wanted, Deadline.after(5))
    assert stream.data == b"rest"


def test_what_a_shell_says_that_starts_nothing_is_told() -> None:
    stream = Script(b"This account is currently not available.\n")
    with pytest.raises(AgentFault, match="with status 0: This account is currently not available"):
        client_module._greet(stream, Host("vm"), [], b"marker", Deadline.after(5))


def test_endless_noise_is_not_read_for_ever() -> None:
    with pytest.raises(EOFError):
        client_module._skip_to(Script(b"x" * (1 << 20)), b"wanted", Deadline.after(5))


def _quiet(stream: Iterator[OpResult]) -> Iterator[OpResult]:
    try:
        yield from stream
    except AgentFault:
        return


def children_named(name: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if entry.read_bytes().split(b"\0")[0] == name.encode():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found


def alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
