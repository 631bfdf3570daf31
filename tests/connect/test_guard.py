"""What is done at a deadline, and what is prevented."""

from __future__ import annotations

import math
import socket
import threading
import time

import pytest

from labctl.connect import guard
from labctl.connect.bounded import Transport
from labctl.connect.guard import at
from labctl.deadline import Deadline

#: Seconds that nothing here takes.
LONG = 20.0


def test_each_is_done_at_its_deadline_whatever_the_order() -> None:
    done: list[str] = []
    last = threading.Event()
    began = time.monotonic()
    at(Deadline.after(LONG), lambda: done.append("much later"))
    at(Deadline.after(1.5), last.set)
    at(Deadline.after(0.8), lambda: done.append("second"))
    at(Deadline.after(0.1), lambda: done.append("first"))
    assert last.wait(LONG)
    assert done == ["first", "second"]
    assert time.monotonic() - began >= 0.8


def test_what_is_prevented_is_not_done() -> None:
    done, later = threading.Event(), threading.Event()
    disarm = at(Deadline.after(1.0), done.set)
    at(Deadline.after(1.3), later.set)
    disarm()
    assert later.wait(LONG)
    assert not done.is_set()
    disarm()  # once more is no mistake


def test_a_deadline_that_has_passed_is_now() -> None:
    done = threading.Event()
    at(Deadline(time.monotonic() - 5.0), done.set)
    assert done.wait(LONG)


def test_one_that_takes_long_holds_up_no_other() -> None:
    go_on, second = threading.Event(), threading.Event()
    try:
        at(Deadline.after(0.05), lambda: go_on.wait(LONG))
        at(Deadline.after(0.1), second.set)
        assert second.wait(LONG / 2)
    finally:
        go_on.set()


def test_one_that_fails_holds_up_no_other() -> None:
    second = threading.Event()
    seen: list[object] = []
    hook, threading.excepthook = threading.excepthook, lambda args: seen.append(args.exc_value)
    try:
        at(Deadline.after(0.05), lambda: int("no number"))
        at(Deadline.after(0.2), second.set)
        assert second.wait(LONG)
    finally:
        threading.excepthook = hook
    assert [type(one) for one in seen] == [ValueError]


def test_what_is_due_when_there_is_no_room_for_a_thread_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    refused: list[str] = []

    def full(thread: threading.Thread) -> None:
        if thread.name == "deadline" and len(refused) < 2:
            refused.append(thread.name)
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", full)
    first, last = threading.Event(), threading.Event()
    at(Deadline.after(0.05), first.set)
    at(Deadline.after(0.1), lambda: int("no number"))
    at(Deadline.after(0.2), last.set)
    assert (first.wait(LONG), last.wait(LONG)) == (True, True)
    assert len(refused) == 2


def test_the_first_may_fail_for_want_of_a_thread_and_the_next_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    armed, done = guard._Guard(), threading.Event()
    with monkeypatch.context() as full:
        full.setattr(threading.Thread, "start", lambda _: int("no room"))
        with pytest.raises(ValueError, match="no room"):
            armed.arm(Deadline.after(LONG), lambda: None)
    armed.arm(Deadline.after(0.1), done.set)
    assert done.wait(LONG)


@pytest.mark.parametrize("seconds", [1e12, math.inf])
def test_a_deadline_that_never_comes_holds_up_no_other(seconds: float) -> None:
    done = threading.Event()
    armed = guard._Guard()
    armed.arm(Deadline(seconds), lambda: None)
    time.sleep(0.1)
    armed.arm(Deadline.after(0.1), done.set)
    assert done.wait(LONG)


def test_a_handshake_has_no_thread_for_its_time_alone() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        transport = Transport(ours)
        before = threading.active_count()
        transport.packetizer.start_handshake(LONG)
        assert threading.active_count() == before
        transport.close()


def test_a_thousand_need_one_thread() -> None:
    before = threading.active_count()
    disarming = [at(Deadline.after(LONG), lambda: None) for _ in range(1000)]
    assert threading.active_count() <= before + 1
    for disarm in disarming:
        disarm()
