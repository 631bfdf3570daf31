"""After a boot a VM is at rest when its services have begun, not when systemd has begun to start them."""

from __future__ import annotations

import pytest

from labctl.agent.remote.services import settled
from labctl.agent.remote.services.settled import STILL, Stillness, listening, processor_times

ONE, TWO = frozenset({"00000000:0016"}), frozenset({"00000000:0016", "00000000:1F90"})


def looks(*seen: tuple[float, frozenset[str], int]) -> list[bool]:
    """(when, what listens, percent of the time since the look before that was idle)"""
    still, idle, every, before = Stillness(), 0.0, 0.0, 0.0
    told = []
    for now, sockets, percent in seen:
        every += (now - before) * 100
        idle += (now - before) * percent
        before = now
        told.append(still.look(now, sockets, (int(idle), int(every))))
    return told


def test_nothing_changes_for_some_seconds() -> None:
    assert looks((100, ONE, 90), (102, ONE, 90), (100 + STILL, ONE, 90)) == [False, False, True]


def test_a_service_that_begins_to_listen_starts_the_wait_anew() -> None:
    assert looks((100, ONE, 90), (102, TWO, 90), (104, TWO, 90), (105, TWO, 90)) == [
        False,
        False,
        False,
        True,
    ]


def test_a_program_that_is_still_starting_is_waited_for() -> None:
    """It listens to nothing yet; the processor is busy with it."""
    seen = looks((100, ONE, 90), (102, ONE, 5), (104, ONE, 5), (106, ONE, 5), (107, TWO, 5), (110, TWO, 80))
    assert seen == [False, False, False, False, False, True]


def test_a_vm_that_is_always_busy_is_not_waited_for_for_ever() -> None:
    seen = looks(*((100.0 + second, ONE, 0) for second in range(21)))
    assert seen == [False] * 20 + [True]


@pytest.fixture
def fresh(monkeypatch: pytest.MonkeyPatch) -> settled.Boot:
    """This machine, as if it had booted just now."""
    boot = settled.Boot()
    monkeypatch.setattr(settled, "_boot", boot)
    monkeypatch.setattr(settled.presence, "booted_lately", lambda: True)
    monkeypatch.setattr(settled.presence, "at_work", lambda: False)
    monkeypatch.setattr(settled, "_stillness", Stillness())
    return boot


def test_a_boot_that_was_over_long_ago_asks_for_nothing_more(fresh: settled.Boot) -> None:
    fresh.ended = 0.001
    assert settled.unrest(1.0) == ""


def test_one_that_was_over_just_now_does(fresh: settled.Boot, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh.ended = settled.time.monotonic() - 1.0
    assert settled.unrest(1.0) == "its boot"
    monkeypatch.setattr(settled, "STILL", 0.0)
    assert settled.unrest(1.0) == ""


def test_what_is_read_of_this_machine() -> None:
    assert all(len(one.rpartition(":")[2]) == 4 for one in listening())
    idle, every = processor_times()
    assert 0 < idle < every
