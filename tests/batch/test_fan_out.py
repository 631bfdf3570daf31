"""The fan-out: one host's failure stays that host's."""

from __future__ import annotations

import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from labctl.batch import fan_out
from labctl.errors import DeadlineExceeded, HostError, PlaybookError, Unreachable
from labctl.inventory import Host

HOSTS = [Host(f"h{n}") for n in range(12)]


def test_results_are_by_host_in_order() -> None:
    def work(host: Host) -> str:
        time.sleep(0.01 if host.name == "h0" else 0)
        return host.name.upper()

    assert list(fan_out(HOSTS, work, forks=5).items()) == [(h.name, h.name.upper()) for h in HOSTS]


def test_no_more_than_forks_at_a_time() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(_: Host) -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.02)
        with lock:
            running -= 1

    fan_out(HOSTS, work, forks=3)
    assert most == 3


def test_a_failure_is_contained_and_named() -> None:
    def work(host: Host) -> int:
        if host.name == "h1":
            raise Unreachable("gone")
        if host.name == "h2":
            raise ZeroDivisionError("oops")
        if host.name == "h3":
            raise SystemExit(4)
        return 1

    seen: list[str] = []
    results = fan_out(HOSTS, work, on_done=lambda host, _: seen.append(host.name))
    assert sorted(seen) == sorted(h.name for h in HOSTS)
    assert isinstance(results["h1"], Unreachable)
    assert isinstance(results["h2"], HostError)
    assert "ZeroDivisionError: oops" in results["h2"].message
    assert "SystemExit: 4" in getattr(results["h3"], "message", "")
    assert [results[f"h{n}"] for n in range(4, 12)] == [1] * 8


def test_the_users_mistake_ends_the_run() -> None:
    def work(_: Host) -> None:
        raise PlaybookError("wrong")

    with pytest.raises(PlaybookError):
        fan_out(HOSTS, work, forks=1)


def test_an_interrupt_begins_no_further_host() -> None:
    begun: list[str] = []
    told = threading.Event()

    def work(host: Host) -> None:
        begun.append(host.name)
        if host.name != "h0":
            assert told.wait(10)

    def interrupted(_host: Host, _outcome: object) -> None:
        told.set()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fan_out(HOSTS, work, forks=1, on_done=interrupted)
    # The second may have been under way; the rest were never begun.
    assert len(begun) <= 3


@pytest.mark.parametrize("how", [{"patience": 0.0}, {"waited_for": lambda host: host.name != "h1"}])
def test_an_interrupt_waits_for_nobody_who_need_not_be_waited_for(how: dict[str, Any]) -> None:
    release = threading.Event()

    def work(host: Host) -> None:
        if host.name == "h1":
            release.wait(20)

    def interrupted(_host: Host, _outcome: object) -> None:
        raise KeyboardInterrupt

    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        fan_out(HOSTS[:2], work, forks=2, on_done=interrupted, **how)
    assert time.monotonic() - started < 15
    release.set()


@pytest.fixture
def few_descriptors() -> Iterator[int]:
    """How many this process may have open: many start so, and may have more if they ask."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, before[1]))
    yield 128
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_many_at_once_have_room_for_what_they_open(few_descriptors: int) -> None:
    hosts = [Host(f"h{n}") for n in range(few_descriptors)]
    together = threading.Barrier(len(hosts))

    def work(_: Host) -> str:
        with ExitStack() as kept:
            for end in socket.socketpair():
                kept.enter_context(end)
            together.wait(60)
        return "open"

    assert set(fan_out(hosts, work, forks=len(hosts)).values()) == {"open"}


def test_no_hosts_is_no_work() -> None:
    assert fan_out([], lambda host: host) == {}


def test_work_that_never_ends_is_given_up_and_its_place_is_free_again() -> None:
    release = threading.Event()

    def work(host: Host) -> str:
        if host.name in ("h0", "h5"):
            release.wait(60)
        return host.name

    told: list[str] = []
    started = time.monotonic()
    try:
        results = fan_out(HOSTS, work, forks=1, limit=0.5, on_done=lambda host, _: told.append(host.name))
    finally:
        release.set()
    assert time.monotonic() - started < 40
    assert sorted(told) == sorted(host.name for host in HOSTS)
    late = {name for name, outcome in results.items() if isinstance(outcome, DeadlineExceeded)}
    assert late == {"h0", "h5"}
