"""The controller's side of the agent: start it on a VM, send it calls, read typed results."""

from __future__ import annotations

import json
import math
import re
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from labctl.agent import bundle
from labctl.agent.bundle import Launch
from labctl.agent.remote.wire import COMPRESSED
from labctl.connect import Connection, Retry, Stream, open_connection
from labctl.connect.stream import STDERR_TAIL
from labctl.deadline import Deadline
from labctl.errors import AgentFault, HostError, PythonMissing, SudoRefused
from labctl.inventory import Host

#: A frame from a VM larger than this is refused: the agent itself refuses values over 4 MiB.
MAX_FRAME = 5 << 20
#: Objects, lists and their members in one frame: as many small ones would take twenty times its size here.
MAX_MEMBERS = 250_000
#: What a login shell may print before the agent's marker.
MAX_NOISE = 64 << 10
#: A call larger than this travels compressed.
_LARGE = 1 << 10
_SUDO = re.compile(r"\bsudo\b")
#: Seconds that no op takes.
_FOREVER = 1e9
#: Added to an op's own deadline before the controller gives the whole call up.
GRACE = 5.0


@dataclass(frozen=True)
class Op:
    """One thing to do on the VM: ``name`` is the agent's module, for example ``probes.mounts``.

    ``deadline`` is in seconds, counted on the VM from the op's start. An ``isolated`` op runs in a
    forked child and is cut off at its deadline even when it hangs in the kernel; one with a
    ``user`` does too, as that user. One that is ``shared`` too may be run by the child of a shared op
    before it, once that has come to its end: for what leaves nothing behind in its process. After a
    failed op with ``stop_on_failure`` the rest of the call is not run.
    """

    name: str
    args: Mapping[str, Any]
    deadline: float = 30.0
    isolated: bool = False
    shared: bool = False
    user: str | None = None
    stop_on_failure: bool = False
    check: bool = False
    diff: bool = False


@dataclass(frozen=True)
class OpError:
    """Why an op has no value. ``kind``: timeout, crashed, unknown-op, bad-args or not-run."""

    kind: str
    message: str


@dataclass(frozen=True)
class OpResult:
    """What came back for the op at ``index`` of a call: a ``value`` or an ``error``, never both."""

    index: int
    value: Mapping[str, Any] | None
    error: OpError | None
    seconds: float

    @property
    def failed(self) -> bool:
        return self.value is None or bool(self.value.get("failed"))


@dataclass(frozen=True)
class Hello:
    """Who answered. ``user`` is the login user, also when the agent itself runs as root.

    ``unsettled``: another run's experiment may be under way on the VM, or its boot. ``magic`` says which
    compiled code its Python reads.
    """

    python: str
    uid: int
    user: str
    hostname: str
    boot_id: str
    pid: int
    unsettled: bool = False
    machine_id: str = ""
    magic: str = ""


class Agent:
    """A running agent. Not for use by several threads at once.

    ``connections`` and ``round_trips`` count what it cost: the start is one round trip, and a first call that
    went with it none.
    """

    def __init__(
        self,
        connection: Connection,
        stream: Stream,
        hello: Hello,
        has: frozenset[str] = frozenset(),
        begun: Sequence[Op] = (),
    ) -> None:
        self.connection = connection
        self.hello = hello
        self.connections = 1
        self.round_trips = 1
        self._stream = stream
        self._has = bundle.core() | has
        self._begun = begun
        self._number = 1 if begun else 0

    @property
    def host(self) -> Host:
        return self.connection.host

    def call(self, ops: Sequence[Op], deadline: Deadline, parallel: int = 1) -> Iterator[OpResult]:
        """Send ``ops`` in one round trip and yield each result as it comes, in order of completion.

        Up to ``parallel`` isolated ops run at a time. Every op gets exactly one result. The call is
        sent when the first result is asked for, unless it went with the start. Raises :class:`AgentFault`
        when the agent ends or breaks its protocol, :class:`DeadlineExceeded` at ``deadline``.
        """
        if not ops:
            return
        if self._begun:
            assert ops == self._begun, "another call went with the start"
            self._begun = ()
        else:
            self._number += 1
            self.round_trips += 1
            self._stream.write(self._modules(ops) + _call(self._number, ops, parallel), deadline)
        missing = set(range(len(ops)))
        while True:
            frame = _read_frame(self._stream, deadline, self.host)
            if frame.get("call") != self._number:
                raise _protocol_error(self.host, "an answer to another call")
            if frame.get("t") == "end":
                break
            result = _result(frame, self.host)
            if result.index not in missing:
                raise _protocol_error(self.host, f"an unexpected result with index {result.index}")
            missing.discard(result.index)
            yield result
        if missing:
            raise _protocol_error(self.host, f"no result for {len(missing)} of {len(ops)} ops")

    def _modules(self, ops: Sequence[Op]) -> bytes:
        """A frame with what ``ops`` need of the agent and it has not been sent yet; b"" when it has all."""
        lacking = bundle.needed(_named(ops)) - self._has
        if not lacking:
            return b""
        self._has |= lacking
        return bundle.frame(lacking, self.hello.magic)

    def call_one(self, op: Op, deadline: Deadline) -> Mapping[str, Any]:
        """Run one op and return its value. Raises :class:`AgentFault` when it has none."""
        (result,) = list(self.call([op], deadline))
        if result.value is None:
            error = result.error
            raise AgentFault(f"{op.name}: {error.message if error else 'no value'}")
        return result.value

    def close(self) -> None:
        """End the agent and its connection. What it armed for this case happens on the VM."""
        self._stream.close()
        self.connection.close()

    def __enter__(self) -> Agent:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_agent(host: Host, deadline: Deadline, become: bool = True, retry: Retry | None = None) -> Agent:
    """Connect to ``host`` and start the agent there, more than once when ``retry`` says so.

    As root when ``become``.

    Raises a :class:`HostError` that says why it could not: see ``labctl.errors``.
    """

    def once(until: Deadline) -> Agent:
        launch = Launch(host.python, become)
        connection = open_connection(host, until, retry, launch.command)
        try:
            return start_agent_on(connection, until, launch)
        except BaseException:
            connection.close()
            raise

    return retry.begin(once, deadline) if retry and not host.is_local else once(deadline)


def start_agent_on(
    connection: Connection, deadline: Deadline, launch: Launch, first: Sequence[Op] = ()
) -> Agent:
    """Start the agent over a connection that is open already, perhaps with this very ``launch`` begun, and
    stays open when this fails.

    ``first`` are the ops of its first call, done one at a time: it goes with the start, and costs no round
    trip of its own.
    Raises the :class:`HostError` that says why the agent could not start.
    """
    host = connection.host
    early = bundle.needed(_named(first)) - bundle.core()
    sent = [launch.payload]
    if first:
        # as for our own Python, which most have: another holds the call back until it has its modules
        sent.append(bundle.frame(early, bundle.MAGIC) + _call(1, first))
    stream = connection.execute(launch.command(connection.is_root), deadline)
    try:
        hello = _greet(stream, host, sent, launch.marker, deadline)
        if first and hello.magic != bundle.MAGIC:
            stream.write(bundle.frame(early, hello.magic), deadline)
    except BaseException:
        stream.close()
        raise
    return Agent(connection, stream, hello, early, first)


def _call(number: int, ops: Sequence[Op], parallel: int = 1) -> bytes:
    """The frame of a call."""
    call = {"call": number, "ops": [vars(op) for op in ops], "parallel": parallel}
    body = json.dumps(call, ensure_ascii=True).encode("ascii")
    if len(body) < _LARGE:
        return struct.pack(">I", len(body)) + body
    body = zlib.compress(body, 6)
    return struct.pack(">I", len(body) | COMPRESSED) + body


def _greet(stream: Stream, host: Host, sent: Sequence[bytes], marker: bytes, deadline: Deadline) -> Hello:
    """Send the agent's modules and read its hello."""
    try:
        # one by one: SSH hands on what is written together when all of it has come
        for part in sent:
            stream.write(part, deadline)
        _skip_to(stream, marker, deadline)
    except (EOFError, AgentFault) as err:
        raise _why_no_start(stream, host, deadline, err) from err
    frame = _read_frame(stream, deadline, host)
    try:
        return Hello(
            python=str(frame["python"])[:32],
            uid=int(frame["uid"]),
            user=str(frame["user"])[:64],
            hostname=str(frame["hostname"])[:255],
            boot_id=str(frame["boot_id"])[:64],
            pid=int(frame["pid"]),
            unsettled=frame["unsettled"] is True,
            machine_id=str(frame.get("machine_id") or "")[:64],
            magic=str(frame.get("magic") or "")[:16],
        )
    except (KeyError, TypeError, ValueError, OverflowError) as err:
        raise _protocol_error(host, "a malformed hello") from err


def _skip_to(stream: Stream, marker: bytes, deadline: Deadline) -> None:
    """Read past what the login shell printed, up to and including the marker."""
    seen = b""
    while not seen.endswith(marker):
        if len(seen) > MAX_NOISE:
            raise EOFError(seen)
        # One byte at a time at the end only: the bytes after the marker belong to frames.
        try:
            seen += stream.read(max(1, len(marker) - _overlap(seen, marker)), deadline)
        except EOFError as err:
            raise EOFError(seen) from err


def _overlap(seen: bytes, marker: bytes) -> int:
    """How many bytes at the end of ``seen`` are a beginning of ``marker``."""
    for length in range(min(len(seen), len(marker)), 0, -1):
        if marker.startswith(seen[-length:]):
            return length
    return 0


def _why_no_start(stream: Stream, host: Host, deadline: Deadline, ended: Exception) -> HostError:
    """``ended`` is how it ended; an EOFError holds what it wrote before, as nologin does."""
    status = stream.wait(deadline.sooner(GRACE))
    written = ended.args[0] if isinstance(ended, EOFError) and ended.args else b""
    said = (stream.stderr_tail().strip() or written[-STDERR_TAIL:]).decode("utf-8", "replace").strip()
    lines = said.splitlines()
    last = lines[-1] if lines else ""
    by_sudo = [line for line in lines if line.startswith("sudo:")]
    # whoever looks for a program says so in one line, perhaps in the user's language; others may too
    missing = [line for line in lines if "not found" in line or "No such file" in line]
    no_python = any(host.python in line for line in missing)
    others = [line for line in (lines if status == 127 else missing) if line not in by_sudo]
    if not no_python and any(_SUDO.search(line) for line in others):
        return SudoRefused(
            "there is no sudo", hint="start labctl as root" if host.is_local else "log in as root"
        )
    if no_python or status == 127:
        return PythonMissing(
            f"there is no {host.python} on the VM", hint="on the VM: sudo apt install python3"
        )
    if by_sudo:
        return SudoRefused(
            f"sudo did not work without a password: {by_sudo[-1]}",
            hint="type sudo in front of the whole command: it then asks you"
            if host.is_local
            else "the login user needs NOPASSWD in /etc/sudoers.d, or log in as root",
        )
    how = f"ended with status {status}" if status is not None else "did not answer"
    return AgentFault(f"the agent could not start: python {how}{': ' + last if last else ''}")


def _read_frame(stream: Stream, deadline: Deadline, host: Host) -> Mapping[str, Any]:
    try:
        (length,) = struct.unpack(">I", _exactly(stream, 4, deadline))
        if length > MAX_FRAME:
            raise _protocol_error(host, f"a frame of {length} bytes")
        body = _exactly(stream, length, deadline)
    except EOFError as err:
        raise AgentFault(
            "the agent on the VM ended in the middle of its work",
            hint="run it again; if it keeps happening, look at the VM's memory (dmesg) and its sshd log",
        ) from err
    if _members(body) > MAX_MEMBERS and _members(_outside_strings(body)) > MAX_MEMBERS:
        raise _protocol_error(host, f"more than {MAX_MEMBERS} values in one frame")
    try:
        frame = _JSON.decode(body.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        raise _protocol_error(host, "something that is not JSON") from err
    if not isinstance(frame, dict):
        raise _protocol_error(host, "JSON that is not an object")
    return frame


def _members(body: bytes) -> int:
    return body.count(b"{") + body.count(b"[") + body.count(b",")


def _outside_strings(body: bytes) -> bytes:
    """What stands between the strings of JSON; of what is none, at least up to the place where it is none.

    Without a pattern: one goes back over a string that never ends, with Python's lock.
    """
    bare = body.replace(rb"\\", b"").replace(rb"\"", b"")
    if bare.count(b'"') > 4 * MAX_MEMBERS + 4:
        return b"," * (MAX_MEMBERS + 1)  # each member has two strings at most: there are too many of them
    return b"".join(bare.split(b'"')[::2])


def _finite(text: str) -> float:
    """What is none would be written into our own JSON, which nobody else could read then."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is no number")
    return number


_JSON = json.JSONDecoder(parse_float=_finite, parse_constant=_finite)


def _named(ops: Sequence[Op]) -> Iterator[str]:
    """The agent's modules that ops name: their own, and that of a loop's rounds."""
    for op in ops:
        yield op.name
        if op.name == "modules.series":
            yield str(op.args["module"])


def _exactly(stream: Stream, count: int, deadline: Deadline) -> bytes:
    parts = []
    while count:
        part = stream.read(count, deadline)
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


def _result(frame: Mapping[str, Any], host: Host) -> OpResult:
    index, seconds = frame.get("index"), frame.get("seconds")
    value, error = frame.get("value"), frame.get("error")
    if frame.get("t") != "result" or type(index) is not int or not isinstance(seconds, int | float):
        raise _protocol_error(host, "a malformed result")
    if not 0 <= seconds < _FOREVER:
        raise _protocol_error(host, "a result that took no time that there is")
    if isinstance(value, dict) and error is None:
        return OpResult(index, value, None, float(seconds))
    if isinstance(error, dict):
        kind, message = str(error.get("kind"))[:40], str(error.get("message"))[:2000]
        return OpResult(index, None, OpError(kind, message), float(seconds))
    raise _protocol_error(host, "a result without value or error")


def _protocol_error(host: Host, what: str) -> AgentFault:
    return AgentFault(f"the agent on {host.name} sent {what}", hint="the VM may be tampered with: look at it")
