"""How the agent's frames leave the VM: a few writes, and none that waits for long."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from labctl.agent.remote import main
from labctl.agent.remote.main import Sender


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def framed(*bodies: bytes) -> bytes:
    return b"".join(len(body).to_bytes(4, "big") + body for body in bodies)


def test_frames_that_follow_each_other_are_one_write(pipe: tuple[int, int]) -> None:
    sender = Sender(pipe[1])
    for body in (b"one", b"two", b"three"):
        sender.send(body)
    os.set_blocking(pipe[0], False)
    with pytest.raises(BlockingIOError):
        os.read(pipe[0], 100)
    sender.flush()
    assert os.read(pipe[0], 100) == framed(b"one", b"two", b"three")


def test_a_frame_leaves_while_the_next_is_long_in_coming(pipe: tuple[int, int]) -> None:
    sender = Sender(pipe[1])
    sender.start()
    for body in (b"one", b"two"):
        sender.send(body)
        assert os.read(pipe[0], 100) == framed(body)  # blocks until it has come


def test_what_waits_is_bounded(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A link that takes nothing holds up the ops, rather than filling the VM's memory."""
    monkeypatch.setattr(main, "TOGETHER", 60)
    sender = Sender(pipe[1])
    body = b"x" * (main.MOST_WAITING // 2)

    def send() -> None:
        for _ in range(8):
            sender.send(body)

    many = threading.Thread(target=send, daemon=True)
    many.start()
    many.join(1)
    assert many.is_alive(), "nobody has read anything"
    expected, taken = framed(*[body] * 8), b""
    while len(taken) < len(expected):
        taken += os.read(pipe[0], 1 << 16)
    assert taken == expected
    many.join(10)
