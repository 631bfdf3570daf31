"""Ctrl-C while a host is being worked on: what cannot be called off is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol, TypeVar

from labctl.errors import HostError


class Interrupted(HostError):
    """The run was cancelled while this VM's part of it was under way."""

    cause = "interrupted"

    def __init__(self) -> None:
        super().__init__("interrupted")


class _Closes(Protocol):
    def close(self) -> None: ...


T = TypeVar("T", bound=_Closes)

# How soon a cancelled run is noticed. Work that ends by itself is noticed at once.
_LOOK_SECONDS = 0.5


def until_closed(work: Callable[[], T], closed: threading.Event) -> T:
    """What ``work`` gives, or Interrupted as soon as ``closed`` is set.

    A TCP connect and an SSH handshake with a silent peer take their whole deadline, and nothing ends
    them from outside; so they have a thread that nobody waits for, and what it opens too late is closed.
    """
    given: list[T] = []
    failed: list[BaseException] = []
    done = threading.Event()

    def run() -> None:
        try:
            given.append(work())
        except BaseException as err:  # noqa: BLE001  raised again by the thread that asked
            failed.append(err)
        done.set()
        if closed.is_set() and given:
            given[0].close()

    if closed.is_set():
        raise Interrupted
    threading.Thread(target=run, daemon=True, name="connecting").start()
    while not done.wait(_LOOK_SECONDS):
        if closed.is_set():
            raise Interrupted
    if closed.is_set():
        raise Interrupted
    if failed:
        raise failed[0]
    return given[0]
