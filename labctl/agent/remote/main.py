"""The agent's loop: read a call, run its ops, send each result as it is done.

A frame is four bytes of length, big-endian, and that many bytes of ASCII JSON, compressed when the second
highest bit of the length is set. With the highest bit set it brings modules that the calls after it need: the
magic number of the Python that they were compiled for, or zeros when they are source, and then zlib's bytes.
The agent's first output is a marker with the controller's nonce, so that what a login shell prints before it
cannot be taken for a frame.
"""

from __future__ import annotations

import _frozen_importlib_external  # importlib.util has it too, and costs ten times as much
import importlib
import json
import os
import select
import struct
import sys
import threading
import time
import zlib
from collections.abc import Callable
from typing import Any, BinaryIO

from . import child, command
from .outcome import Context, Failed
from .paths import filled
from .services import presence
from .wire import COMPRESSED, LOGIN_USER, MODULES, SOURCE

MAX_CALL = 64 << 20
#: What modules begin with that this Python can read.
READABLE = (SOURCE, _frozen_importlib_external.MAGIC_NUMBER)
#: Seconds that a frame may wait for the next.
TOGETHER = 0.05
#: Bytes of frames that may wait; beyond that an op waits for the link.
MOST_WAITING = 64 << 10


def read_frame(source: BinaryIO) -> dict[str, Any] | bytes | None:
    """The next frame: a call, or packed modules; None at the end of the stream."""
    head = source.read(4)
    if len(head) < 4:
        return None
    (word,) = struct.unpack(">I", head)
    length = word & ~(MODULES | COMPRESSED)
    if length > MAX_CALL:
        return None
    body = source.read(length)
    if len(body) < length:
        return None
    if word & MODULES:
        return body
    if word & COMPRESSED:
        body = zlib.decompress(body)
    frame: dict[str, Any] = json.loads(body.decode("ascii"))
    return frame


class Sender(threading.Thread):
    """Writes frames to a descriptor of its own: what an op prints goes elsewhere.

    Frames that come within TOGETHER seconds are written at once: a write costs sshd and the
    controller, who is told by many VMs at a time, more than what is in it. None waits for longer.
    """

    def __init__(self, fd: int) -> None:
        super().__init__(daemon=True)
        self.fd = fd
        self._lock = threading.Lock()
        self._waiting = b""
        self._arrived = threading.Event()

    def send(self, data: bytes) -> None:
        with self._lock:
            self._waiting += struct.pack(">I", len(data)) + data
            much = len(self._waiting) > MOST_WAITING
        if much:
            self.flush()
        else:
            self._arrived.set()

    def flush(self) -> None:
        """Write now what waits."""
        with self._lock:
            data, self._waiting = self._waiting, b""
            while data:
                data = data[os.write(self.fd, data) :]

    def run(self) -> None:
        while True:
            self._arrived.wait()
            self._arrived.clear()
            time.sleep(TOGETHER)
            self.flush()


def run_op(op: dict[str, Any], deadline: float) -> dict[str, Any]:
    """Run one op in this process: ``{"value": ...}`` or ``{"error": {"kind", "message"}}``."""
    name = op["name"]
    try:
        module = importlib.import_module("." + name, __package__)
    except ModuleNotFoundError as err:
        if err.name and err.name.startswith(str(__package__)):
            return {"error": {"kind": "unknown-op", "message": "this agent has no op %r" % name}}
        return _crashed(err)
    try:
        value = module.run(
            filled(op.get("args") or {}), Context(deadline, bool(op.get("check")), bool(op.get("diff")))
        )
    except Failed as err:
        value = dict(err.fields, failed=True, msg=err.msg)
    except Exception as err:  # the boundary: a crashed op is a result, not the end of the agent
        return _crashed(err)
    return {"value": value}


def _forked(op: dict[str, Any]) -> bool:
    return bool(op.get("isolated") or op.get("user"))


def _by_name(op: dict[str, Any]) -> dict[str, Any]:
    """An op for the login user as one for a name, or for nobody else."""
    if op.get("user") != LOGIN_USER:
        return op
    name = login_user()
    return dict(op, user=None if os.getuid() != 0 or name in ("", "root") else name)


def login_user() -> str:
    """Whoever logged in, also when the agent runs as root."""
    return os.environ.get("SUDO_USER") or os.environ.get("USER") or ""


def _shared(op: dict[str, Any]) -> bool:
    """A process that has become another user stays that user."""
    return bool(op.get("shared")) and not op.get("user")


def preload(name: str) -> None:
    """Compile an op's module; the child says what is wrong when this fails."""
    try:
        importlib.import_module("." + name, __package__)
    except Exception:  # noqa: S110  the child meets and reports the same
        pass


def _crashed(err: BaseException) -> dict[str, Any]:
    last = err.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    where = "?"
    if last:
        code = last.tb_frame.f_code
        # modules that came compiled have no lines
        where = "%s:%s" % (code.co_filename, last.tb_lineno or code.co_name)
    return {"error": {"kind": "crashed", "message": "%s: %s (%s)" % (type(err).__name__, err, where)}}


class Call:
    """One call from the controller: ops in order, up to ``parallel`` forked ones at a time.

    A child whose op has come to its end takes another, when that op is a shared one too. One that hung,
    crashed or is not shared takes none: what happens to an op never happens to the next.
    """

    def __init__(self, frame: dict[str, Any], sender: Sender) -> None:
        self.number = frame["call"]
        self.ops: list[dict[str, Any]] = [_by_name(op) for op in frame["ops"]]
        self.parallel = max(1, int(frame.get("parallel") or 1))
        self.sender = sender
        self.running: dict[int, child.Child] = {}
        self.free: list[child.Child] = []
        self.stopped = False

    def run(self) -> None:
        waiting = list(range(len(self.ops)))
        # Before any fork: each module is compiled once, and not in each child.
        for name in {op["name"] for op in self.ops if _forked(op)}:
            preload(name)
        while waiting or self.running:
            while waiting and not self.stopped and len(self.running) < self.parallel:
                self.begin(waiting.pop(0))
            if self.running:
                self.gather()
            elif self.stopped:
                for index in waiting:
                    self.report(index, {"error": {"kind": "not-run", "message": "an earlier op failed"}}, 0.0)
                waiting = []
        for one in self.free:
            one.close()
        self.sender.send(child.encode({"t": "end", "call": self.number}))
        self.sender.flush()

    def begin(self, index: int) -> None:
        op = self.ops[index]
        started = time.monotonic()
        deadline = started + float(op.get("deadline") or 30.0)
        if _forked(op):
            self.running[index] = self.hand_over(index, deadline)
        else:
            outcome = run_op(op, deadline)
            self.report(index, outcome, time.monotonic() - started)

    def hand_over(self, index: int, deadline: float) -> child.Child:
        """Give an op to a child that is free, or to a new one."""
        op = self.ops[index]
        while _shared(op) and self.free:
            one = self.free.pop()
            if one.give(index, deadline):
                return one
            one.close()
        one = child.start(lambda at, until: run_op(self.ops[at], until), op.get("user"))
        one.give(index, deadline)
        return one

    def gather(self) -> None:
        """Wait until a child has something to say or its time is over."""
        by_fd = {one.fd: index for index, one in self.running.items()}
        nearest = min(one.deadline for one in self.running.values())
        ready, _, _ = select.select(list(by_fd), [], [], max(0.0, nearest - time.monotonic()))
        for fd in ready:
            index = by_fd[fd]
            if self.running[index].read():
                self.finish(index, cut_off=False)
        now = time.monotonic()
        for index in [i for i, one in self.running.items() if one.deadline <= now]:
            self.finish(index, cut_off=True)

    def finish(self, index: int, cut_off: bool) -> None:
        one = self.running.pop(index)
        outcome = one.cut_off() if cut_off else one.outcome()
        seconds = time.monotonic() - one.started
        if _shared(self.ops[index]) and one.finished:
            self.free.append(one)
        else:
            one.close()
        self.report(index, outcome, seconds)

    def report(self, index: int, outcome: dict[str, Any], seconds: float) -> None:
        value = outcome.get("value")
        failed = "error" in outcome or (isinstance(value, dict) and bool(value.get("failed")))
        if failed and self.ops[index].get("stop_on_failure"):
            self.stopped = True
        body = {"t": "result", "call": self.number, "index": index, "seconds": round(seconds, 4)}
        encoded = child.encode(dict(body, **outcome))
        if encoded.startswith(b'{"error"'):  # the value could not travel: say so under its index
            encoded = child.encode(dict(body, **json.loads(encoded.decode("ascii"))))
        self.sender.send(encoded)


def hello() -> dict[str, Any]:
    """Who answers. Only what costs no process: the start of the agent is on every run's path."""
    return {
        "t": "hello",
        "python": "%d.%d.%d" % sys.version_info[:3],
        "magic": _frozen_importlib_external.MAGIC_NUMBER.hex(),
        "uid": os.getuid(),
        "user": login_user(),
        "hostname": os.uname().nodename,
        "boot_id": _word_in("/proc/sys/kernel/random/boot_id"),
        "machine_id": _word_in("/etc/machine-id"),
        "pid": os.getpid(),
        "unsettled": presence.at_work() or presence.booted_lately(),
    }


def _word_in(path: str) -> str:
    try:
        with open(path) as file:
            return file.read(200).strip()
    except (OSError, UnicodeDecodeError):
        return ""


class Reader(threading.Thread):
    """Reads calls ahead, so that the end of the connection is noticed while an op still runs.

    ``learn`` is given the modules that come before the calls that need them. When those were compiled for
    another Python, the calls wait for them to come once more.
    """

    def __init__(self, source: BinaryIO, learn: Callable[[bytes], None]) -> None:
        super().__init__(daemon=True)
        self.source = source
        self.learn = learn
        self.calls: list[dict[str, Any]] = []
        self.held: list[dict[str, Any]] | None = None
        self.arrived = threading.Semaphore(0)
        self.current: Call | None = None

    def run(self) -> None:
        while True:
            frame = read_frame(self.source)
            if frame is None:
                break
            if isinstance(frame, bytes):
                self.modules(frame)
            elif self.held is not None:
                self.held.append(frame)
            else:
                self.hand_on(frame)
        command.kill_running()
        for one in list(self.current.running.values()) if self.current else []:
            one.end(15)
        os._exit(0)

    def modules(self, frame: bytes) -> None:
        if frame[:4] not in READABLE:
            self.held = self.held or []
            return
        self.learn(zlib.decompress(frame[4:]))
        held, self.held = self.held, None
        for call in held or []:
            self.hand_on(call)

    def hand_on(self, call: dict[str, Any]) -> None:
        self.calls.append(call)
        self.arrived.release()


def serve(marker: bytes, learn: Callable[[bytes], None]) -> None:
    """Answer calls until the connection ends."""
    source = sys.stdin.buffer
    private = os.dup(1)
    os.set_inheritable(private, False)
    os.write(private, marker)
    sender = Sender(private)
    sender.send(child.encode(hello()))
    sender.flush()
    # From here on nothing but frames may reach the controller.
    devnull = os.open(os.devnull, os.O_RDWR)
    os.dup2(devnull, 1)
    os.dup2(devnull, 2)
    os.umask(0o022)
    sender.start()
    reader = Reader(source, learn)
    reader.start()
    while True:
        reader.arrived.acquire()
        call = Call(reader.calls.pop(0), sender)
        reader.current = call
        call.run()
        reader.current = None
