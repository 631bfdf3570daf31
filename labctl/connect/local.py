"""This machine as a host: the student's self-check, and tests of the agent."""

from __future__ import annotations

import os
import selectors
import subprocess
from pathlib import Path

from labctl.connect.stream import STDERR_TAIL, Stream
from labctl.deadline import Deadline
from labctl.errors import AgentFault, DeadlineExceeded
from labctl.inventory import Host


class LocalConnection:
    """Starts programs as subprocesses, in ``directory``."""

    def __init__(self, host: Host, directory: Path) -> None:
        self.host = host
        self._directory = directory

    @property
    def is_root(self) -> bool:
        return os.geteuid() == 0

    @property
    def host_key(self) -> str:
        return ""

    def execute(self, command: str, deadline: Deadline) -> Stream:
        deadline.check(f"starting a program on {self.host.name}")
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=self._directory,
            start_new_session=True,
            bufsize=0,
        )
        return LocalStream(process, self.host)

    def close(self) -> None:
        """Nothing is held besides the streams."""


#: How long a thread that reads may take to notice that another one has closed the stream, in seconds.
_CLOSED_WITHIN = 0.5


class LocalStream:
    """Pipes to a subprocess."""

    def __init__(self, process: subprocess.Popen[bytes], host: Host) -> None:
        self.host = host
        self._process = process
        self._stderr = b""
        self._closed = False
        self._selector = selectors.DefaultSelector()
        for pipe in (process.stdout, process.stderr):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ)
        assert process.stdin is not None
        self._stdin = process.stdin
        os.set_blocking(self._stdin.fileno(), False)

    def write(self, data: bytes, deadline: Deadline) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[os.write(self._stdin.fileno(), view) :]
            except BlockingIOError:
                deadline.check(f"sending to {self.host.name}")
                with selectors.DefaultSelector() as room:
                    room.register(self._stdin, selectors.EVENT_WRITE)
                    room.select(min(deadline.remaining(), 1.0))
            except BrokenPipeError as err:
                raise AgentFault("the agent ended before it had read its request") from err

    def read(self, most: int, deadline: Deadline) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        while True:
            # Another thread may close us: what waits on a closed descriptor is never told
            try:
                ready = self._selector.select(min(deadline.remaining(), _CLOSED_WITHIN))
            except (OSError, ValueError):
                if not self._closed:
                    raise
            if self._closed:
                raise EOFError
            if not ready:
                if deadline.expired:
                    raise DeadlineExceeded(f"no answer from the agent on {self.host.name} in time")
                continue
            for key, _ in ready:
                if key.fileobj is stdout:
                    data = os.read(stdout.fileno(), most)
                    if not data:
                        raise EOFError
                    return data
                self._drain_stderr()

    def _drain_stderr(self) -> None:
        pipe = self._process.stderr
        assert pipe is not None
        try:
            data = os.read(pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return
        if data:
            self._stderr = (self._stderr + data)[-STDERR_TAIL:]
        elif pipe in self._selector.get_map():
            self._selector.unregister(pipe)

    def wait(self, deadline: Deadline) -> int | None:
        try:
            return self._process.wait(timeout=deadline.remaining())
        except subprocess.TimeoutExpired:
            return None

    def stderr_tail(self) -> bytes:
        self._drain_stderr()
        return self._stderr

    def close(self) -> None:
        """End of input makes the agent stop; it is killed when it does not within two seconds."""
        self._closed = True
        self._stdin.close()
        try:
            self._process.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()
