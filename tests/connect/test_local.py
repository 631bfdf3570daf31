"""The pipes to an agent on this machine."""

from __future__ import annotations

import subprocess
import threading
import time

import pytest

from labctl.connect.local import LocalStream
from labctl.deadline import Deadline
from labctl.errors import DeadlineExceeded
from labctl.inventory.model import local_host


def stream(line: str = "exec cat") -> LocalStream:
    process = subprocess.Popen(
        ["sh", "-c", line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    return LocalStream(process, local_host())


def test_a_thread_that_reads_notices_that_another_has_closed() -> None:
    """The end of the pipe may never come: a process that a task left behind still holds it."""
    made = stream("sleep 6 & exec cat")
    ended: list[str] = []

    def read() -> None:
        try:
            made.read(10, Deadline.after(60))
        except EOFError:
            ended.append("told")

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    time.sleep(0.2)
    made.close()
    reader.join(5)
    assert ended == ["told"]


def test_an_agent_that_says_nothing_is_waited_for_only_so_long() -> None:
    made = stream()
    with pytest.raises(DeadlineExceeded):
        made.read(10, Deadline.after(0.7))
    made.write(b"late", Deadline.after(5))
    assert made.read(10, Deadline.after(5)) == b"late"
    made.close()
