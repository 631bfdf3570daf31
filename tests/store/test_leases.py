"""Leases: of many who want a VM at once one gets it; who holds it is told; the dead hold nothing."""

from __future__ import annotations

import getpass
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from graded import document
from sqlalchemy import create_engine, text
from world import LAB

from labctl.grading import lab_document
from labctl.store import Store, database, open_store
from labctl.store.leases import Held, LeaseLost

pytestmark = pytest.mark.slow

RUN = "20261121T080000-aaaaaa"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = open_store(url, create=True)
    made.begin(RUN, lab_document(LAB), "2026-11-21T08:00:00Z", ["student1"])
    yield made
    made.close()


def test_the_second_is_told_who_has_it_and_since_when(store: Store) -> None:
    lease = store.take("lab7", "10.0.0.1:22", RUN, 60)
    with pytest.raises(Held) as caught:
        store.take("lab7", "10.0.0.1:22", "another", 60)
    assert f"{getpass.getuser()}@" in caught.value.message
    assert f"process {os.getpid()} (run {RUN})" in caught.value.message
    assert "since 20" in caught.value.message
    # another VM, another lab: another lease
    store.take("lab7", "10.0.0.2:22", "another", 60)
    store.take("lab8", "10.0.0.1:22", "another", 60)
    store.give_back(lease)
    store.take("lab7", "10.0.0.1:22", "another", 60)


def test_a_result_gives_the_lease_back(store: Store) -> None:
    lease = store.take("lab7", "vm", RUN, 60)
    store.add(RUN, document(), lease=lease)
    store.take("lab7", "vm", RUN, 60)


def test_a_lease_that_ran_out_is_free_and_its_holders_result_is_not_kept(store: Store) -> None:
    slow = store.take("lab7", "vm", RUN, -1)
    store.take("lab7", "vm", "another", 60)
    with pytest.raises(LeaseLost):
        store.add(RUN, document(), lease=slow)
    assert list(store.kept(RUN)) == []
    # one that ran out and that nobody took is still good for the result
    slow = store.take("lab7", "other", RUN, -1)
    assert store.add(RUN, document(), lease=slow) == 1


_TAKER = """
import sys
from labctl.store import open_store
from labctl.store.leases import Held
store = open_store(sys.argv[1])
won = []
for number in range(int(sys.argv[2])):
    sys.stdin.readline()
    try:
        store.take("lab7", f"vm{number}", "race", 600)
        print("won", flush=True)
    except Held:
        print("held", flush=True)
sys.stdin.readline()
"""


@contextmanager
def another_process_that_has_it(url: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", _TAKER, url, "1"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        print(file=other.stdin, flush=True)
        assert other.stdout.readline() == "won\n"
        yield other


def test_a_process_that_was_killed_holds_nothing(store: Store, url: str) -> None:
    with another_process_that_has_it(url) as other:
        with pytest.raises(Held):
            store.take("lab7", "vm0", RUN, 60)
        other.kill()
        other.wait()
        store.take("lab7", "vm0", RUN, 60)


def test_a_process_that_proc_does_not_show_holds_its_lease_until_it_has_ended(
    store: Store, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/proc mounted with hidepid=2 has no entry for the processes of other users."""
    with another_process_that_has_it(url) as other:
        read = Path.read_text

        def hidden(path: Path, *args: str, **options: str) -> str:
            if str(path) == f"/proc/{other.pid}/stat":
                raise FileNotFoundError(path)
            return read(path, *args, **options)

        monkeypatch.setattr(Path, "read_text", hidden)
        with pytest.raises(Held):
            store.take("lab7", "vm0", RUN, 60)
        other.kill()
        other.wait()
        store.take("lab7", "vm0", RUN, 60)


def test_that_a_process_on_another_machine_was_killed_cannot_be_known(store: Store, url: str) -> None:
    store.take("lab7", "vm", RUN, 60)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(
            text("update leases set holder = :holder"),
            {"holder": '{"user": "ann", "machine": "desk", "where": "x", "pid": 1, "began": "2"}'},
        )
    engine.dispose()
    with pytest.raises(Held, match="ann@desk, process 1"):
        store.take("lab7", "vm", RUN, 60)


@pytest.mark.parametrize("races", [25, pytest.param(100, marks=pytest.mark.soak)])
def test_of_several_who_ask_at_the_same_time_exactly_one_gets_it(store: Store, url: str, races: int) -> None:
    """Races of four processes."""
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", _TAKER, url, str(races)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    winners = []
    for _ in range(races):
        for taker in takers:
            print(file=taker.stdin, flush=True)
        said = [taker.stdout.readline().strip() for taker in takers if taker.stdout]
        winners.append(said.count("won"))
    for taker in takers:
        taker.communicate("\n", timeout=30)
    assert winners == [1] * races


def test_the_threads_of_a_class_take_turns_and_none_polls_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.0)  # SQLite itself would wait for no other writer
    store = open_store(f"sqlite:///{tmp_path / 'results.sqlite'}", create=True)

    def work(number: int) -> None:
        for _ in range(10):
            store.give_back(store.take("lab7", f"10.0.0.{number}:22", RUN, 60))

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))
    store.close()
