"""Programs on the VM, run with a deadline, a cap on their output and a fixed environment."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from typing import IO

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CAP = 1 << 20

# Programs that run at the moment, so that the agent can end them when its connection is lost.
# A thread of its own reads the connection, hence the lock.
_running: set[subprocess.Popen[bytes]] = set()
# Reentrant: a signal's handler takes it too.
_lock = threading.RLock()
_ended = threading.Event()


class Finished:
    """How a program ended. ``rc`` is 127 with ``missing`` set when there is no such program."""

    def __init__(
        self,
        rc: int,
        out: str,
        err: str,
        timed_out: bool = False,
        truncated: bool = False,
        missing: bool = False,
    ) -> None:
        self.rc = rc
        self.out = out
        self.err = err
        self.timed_out = timed_out
        self.truncated = truncated
        self.missing = missing

    @property
    def ok(self) -> bool:
        return self.rc == 0 and not self.timed_out


def base_environment() -> dict[str, str]:
    """The environment programs get: the same on every VM, whatever the login shell sets."""
    kept = {name: os.environ[name] for name in ("HOME", "USER", "LOGNAME", "SHELL") if name in os.environ}
    kept.update(PATH=PATH, LC_ALL="C.UTF-8", LANG="C.UTF-8", DEBIAN_FRONTEND="noninteractive")
    return kept


def run_command(
    argv: Sequence[str],
    *,
    timeout: float,
    stdin: bytes | None = None,
    cwd: str | None = None,
    env: Mapping[str, str] | None = None,
    cap: int = CAP,
    outlive: bool = False,
) -> Finished:
    """Run ``argv`` for at most ``timeout`` seconds.

    ``env`` is added to :func:`base_environment`. Each of stdout and stderr is kept up to ``cap``
    bytes, the rest is read and dropped. At the deadline the program's whole session is killed.
    ``outlive``: leave it running when the agent's connection is lost, because ending it halfway
    would do more harm (dpkg). Its output goes to files: a pipe would break with the agent, and end it.
    """
    if outlive:
        return _run_outliving(argv, timeout, cwd, env, cap)
    with _lock:
        if _ended.is_set():
            return Finished(-signal.SIGKILL, "", "the connection is lost")
        process = _start(argv, subprocess.DEVNULL if stdin is None else subprocess.PIPE, None, cwd, env)
        if isinstance(process, Finished):
            return process
        _running.add(process)
    try:
        return _collect(process, stdin, time.monotonic() + timeout, cap)
    finally:
        with _lock:
            _running.discard(process)


def _start(
    argv: Sequence[str],
    stdin: int,
    files: tuple[IO[bytes], IO[bytes]] | None,
    cwd: str | None,
    env: Mapping[str, str] | None,
) -> subprocess.Popen[bytes] | Finished:
    """The program in a session of its own, its output in ``files`` or pipes; or why it cannot start."""
    environment = base_environment()
    environment.update(env or {})
    try:
        return subprocess.Popen(
            list(argv),
            stdin=stdin,
            stdout=files[0] if files else subprocess.PIPE,
            stderr=files[1] if files else subprocess.PIPE,
            cwd=cwd,
            env=environment,
            start_new_session=True,
        )
    except FileNotFoundError as err:
        return Finished(127, "", "%s: not found" % (err.filename or argv[0]), missing=True)
    except OSError as err:
        return Finished(126, "", "%s: %s" % (err.filename or argv[0], err.strerror))


def _run_outliving(
    argv: Sequence[str], timeout: float, cwd: str | None, env: Mapping[str, str] | None, cap: int
) -> Finished:
    import tempfile  # takes milliseconds, and no observation needs it

    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = _start(argv, subprocess.DEVNULL, (out, err), cwd, env)
        if isinstance(process, Finished):
            return process
        timed_out = False
        try:
            rc = process.wait(timeout=max(timeout, 0))
        except subprocess.TimeoutExpired:
            timed_out = True
            kill_session(process)
            rc = -signal.SIGKILL
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read(cap).decode("utf-8", "replace"))
        truncated = any(os.fstat(file.fileno()).st_size > cap for file in (out, err))
        return Finished(rc, texts[0], texts[1], timed_out=timed_out, truncated=truncated)


class _Kept:
    """What one output pipe gave, up to a cap."""

    def __init__(self, cap: int) -> None:
        self.parts: list[bytes] = []
        self.room = cap
        self.truncated = False

    def take(self, data: bytes) -> None:
        self.truncated = self.truncated or len(data) > self.room
        self.parts.append(data[: self.room])
        self.room -= min(len(data), self.room)

    def text(self) -> str:
        return b"".join(self.parts).decode("utf-8", "replace")


def _collect(process: subprocess.Popen[bytes], stdin: bytes | None, until: float, cap: int) -> Finished:
    assert process.stdout is not None
    assert process.stderr is not None
    out, err = _Kept(cap), _Kept(cap)
    selector = selectors.DefaultSelector()
    selector.register(process.stdout, selectors.EVENT_READ, out)
    selector.register(process.stderr, selectors.EVENT_READ, err)
    if process.stdin is not None:
        os.set_blocking(process.stdin.fileno(), False)
        selector.register(process.stdin, selectors.EVENT_WRITE, None)
    timed_out = _pump(process, selector, memoryview(stdin or b""), until)
    selector.close()
    try:
        rc = process.wait(timeout=max(until - time.monotonic(), 0.5))
    except subprocess.TimeoutExpired:
        timed_out = True
        kill_session(process)
        rc = -signal.SIGKILL
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None and not stream.closed:
            stream.close()
    truncated = out.truncated or err.truncated
    return Finished(rc, out.text(), err.text(), timed_out=timed_out, truncated=truncated)


def _pump(
    process: subprocess.Popen[bytes], selector: selectors.BaseSelector, to_send: memoryview, until: float
) -> bool:
    """Move bytes until the program has said everything; True when its time was over first."""
    while selector.get_map():
        left = until - time.monotonic()
        # A daemon that a program leaves behind keeps its pipes open: when the program itself has
        # ended, what has not come within a moment is not waited for.
        ended = process.poll() is not None
        ready = selector.select(min(max(left, 0), 0.2))
        if ended and not ready:
            return False
        if left <= 0:
            kill_session(process)
            return True
        for key, _events in ready:
            if key.data is None:
                to_send = _feed(selector, key.fileobj, to_send)  # type: ignore[arg-type]
                continue
            data = os.read(key.fd, 65536)
            if data:
                key.data.take(data)
            else:
                selector.unregister(key.fileobj)
    return False


def _feed(selector: selectors.BaseSelector, pipe: IO[bytes], to_send: memoryview) -> memoryview:
    try:
        to_send = to_send[os.write(pipe.fileno(), to_send[:65536]) :]
    except BrokenPipeError:
        to_send = memoryview(b"")  # it does not want the rest
    if not to_send:
        selector.unregister(pipe)
        pipe.close()
    return to_send


def kill_session(process: subprocess.Popen[bytes]) -> None:
    """Kill the program and what it started in its session."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def kill_running() -> None:
    """End every program that may be ended, for good: the connection is lost, or the op's time is over."""
    with _lock:
        _ended.set()
        for process in list(_running):
            kill_session(process)
