"""Runs that are broken off and go on, further attempts, and two who grade at the same time."""

from __future__ import annotations

import json
import os
import random
import re
import shlex
import signal
import socket
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny import Course
from vms import LABCTL, environment
from waiting import wait_for

from labctl.cli import main
from labctl.grading import Book, grade_hosts, load_lab, plan_for
from labctl.grading.class_run import identity
from labctl.inventory import Host
from labctl.probes import StaffLink
from labctl.store import Store, open_store
from labctl.store.leases import Held

pytestmark = pytest.mark.slow


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, 12)


def waiting(course: Course) -> int:
    store = open_store(course.url)
    try:
        return sum(row.waiting for row in store.runs())
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 60))])
def test_killed_at_any_moment_the_rest_is_graded_and_nothing_twice(course: Course, seed: int) -> None:
    """Five kills a run, the first when there is something to lose: with the soak's, 300."""
    chance = random.Random(seed)
    with course.begin("all", "--forks", "3") as first:
        assert first.stderr is not None
        for _ in range(2):
            first.stderr.readline()
        os.kill(first.pid, signal.SIGKILL)
    before = course.attempts()
    assert before
    for _ in range(4):
        with course.begin("--resume", "--forks", "1") as again:
            time.sleep(chance.uniform(0.3, 2.0))
            again.kill()
        now = course.attempts()
        assert before <= now, "a result that was kept is gone"
        before = now
    if waiting(course):
        with course.begin("--resume") as last:
            _, err = last.communicate(timeout=120)
            assert last.returncode == 1, err
    assert course.attempts() == dict.fromkeys(course.names, 1)
    with course.begin("--resume") as more:
        _, err = more.communicate(timeout=60)
    assert (more.returncode, "nothing to resume" in err or "every run is finished" in err) == (2, True)


def test_a_resumed_run_tells_of_all_its_vms(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    course.there("vm0")
    store = _broken_off(course, "vm0", "vm1")
    capsys.readouterr()
    assert main([*course.grade("--resume"), "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert [host["host"] for host in document["hosts"]] == course.names
    assert [host["score"] for host in document["hosts"]] == [5, *[0] * 11]
    assert all(host["evidence"]["observations"] for host in document["hosts"])
    assert {one.host: one.attempt for one in store.kept(document["run"])} == dict.fromkeys(course.names, 1)
    (row,) = store.runs()
    assert (row.waiting, bool(row.finished)) == (0, True)
    store.close()


def test_a_resumed_run_names_those_too_that_failed_before_it_was_broken_off(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    course.inventory(
        {
            "gone": "ansible_host: 127.0.0.1, ansible_port: 1, labctl_known_hosts: /dev/null",
            **dict.fromkeys(("vm0", "vm1"), "ansible_connection: local"),
        }
    )
    _broken_off(course, "gone", "vm0").close()
    capsys.readouterr()
    assert main(course.grade("--resume")) == 3
    _, *told, command = capsys.readouterr().err.splitlines()
    assert "1 VM not done" in told[-1]
    path = Path(command.rpartition("@")[2])
    assert path.read_text().splitlines()[1:] == ["gone"]


def test_a_run_goes_on_as_it_began(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    store = _broken_off(course, "vm0", options=["--only", "box.file", "--no-disrupt"])
    store.close()
    assert main([*course.grade("--resume", "--only", "box.more")]) == 2
    assert "as the run began" in capsys.readouterr().err
    assert main([*course.grade("vm3", "--resume")]) == 2
    assert "others were named" in capsys.readouterr().err
    capsys.readouterr()
    assert main([*course.grade("--resume"), "--json"]) == 1
    hosts = json.loads(capsys.readouterr().out)["hosts"]
    assert {check["id"] for host in hosts for check in host["checks"]} == {"box.file"}


def test_a_further_attempt_and_the_rule_that_says_which_counts(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    def score() -> list[float]:
        assert main(["show", "last", "vm0", "--json", "--database", course.url]) == 0
        return [host["score"] for host in json.loads(capsys.readouterr().out)["hosts"]]

    file = course.there("vm0")
    assert main(course.grade("vm0", "vm1")) == 1
    capsys.readouterr()
    assert main(["runs", "--json", "--database", course.url]) == 0
    run = json.loads(capsys.readouterr().out)["runs"][0]["run"]
    file.unlink()
    assert main(course.grade("vm0", "vm2", "--run", run)) == 1
    capsys.readouterr()
    assert score() == [0]
    file.touch()
    assert main(course.grade("vm0", "--run", run, "--keep", "first")) == 0
    file.unlink()
    main(course.grade("vm0", "--run", run, "--keep", "best"))
    capsys.readouterr()
    assert score() == [5]
    assert main(["runs", "--database", course.url]) == 0
    assert "3 of 3 VMs graded, 3 further attempts, the best counts" in capsys.readouterr().out


def test_vms_that_the_inventory_has_lost_do_not_keep_the_others_from_being_graded(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    _broken_off(course, "vm0").close()
    inventory = course.root / "hosts.yml"
    lines = [line for line in inventory.read_text().splitlines() if "vm3" not in line]
    inventory.write_text("\n".join(lines))
    assert main(course.grade("--resume")) == 3
    err = capsys.readouterr().err
    assert "left out: " in err
    assert "vm3" in err
    assert sorted(course.attempts()) == sorted(f"vm{number}" for number in range(12) if number != 3)


def test_points_that_changed_within_a_run_are_told(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    main(course.grade("vm0"))
    rubric = course.root / "graders" / "tiny" / "rubric.yml"
    assert main(course.grade("vm1", "--run", "last")) in (0, 1)
    assert "the points of" not in capsys.readouterr().err
    rubric.write_text(rubric.read_text().replace("points: 3", "points: 4"))
    # a process of its own: a lab is loaded once
    _, err = course.begin("vm2", "--run", "last").communicate(timeout=60)
    assert "the points of tiny are others since this run began: labctl regrade" in err


def test_two_names_of_one_machine_in_a_run_are_told_as_that(course: Course) -> None:
    store = open_store(course.url, create=True)
    store.take("tiny", "10.0.0.1:22", "ours", 100)
    with pytest.raises(Held, match=r"another VM of this run has its address, 10\.0\.0\.1:22"):
        store.take("tiny", "10.0.0.1:22", "ours", 100)
    store.close()


def test_a_reader_of_the_events_who_goes_does_not_stop_the_grading(course: Course) -> None:
    grading = course.begin("all", "--forks", "2", "--json-lines")
    assert grading.stdout is not None
    grading.stdout.readline()
    grading.stdout.close()
    assert grading.stderr is not None
    grading.stderr.read()
    grading.stderr.close()
    grading.wait(60)
    assert waiting(course) == 0
    assert len(course.attempts()) == 12


def test_who_interrupts_is_told_how_to_go_on(course: Course) -> None:
    open_store(course.url, create=True).close()
    grading = course.begin("all", "--forks", "1")
    wait_for(lambda: 0 < waiting(course) < 12, "a first result", seconds=30)
    grading.send_signal(signal.SIGINT)
    _, err = grading.communicate(timeout=60)
    assert grading.returncode == 130
    assert "labctl grade --resume --run 20" in err


def test_a_vm_that_another_grades_is_left_alone_and_told(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    store = open_store(course.url, create=True)
    lease = store.take("tiny", f"vm1 on {socket.gethostname()}", "theirs", 100)
    assert main([*course.grade("vm0", "vm1"), "--json"]) == 3
    out, err = capsys.readouterr()
    first, second = json.loads(out)["hosts"]
    assert (first["status"], second["error_cause"], second["score"]) == ("graded", "held", None)
    assert f"process {os.getpid()} (run theirs)" in err
    assert "labctl grade --resume --run 20" in err
    assert "To go on with only" not in err, "one way to go on, not two"
    (row,) = store.runs()
    assert (row.waiting, row.finished) == (1, None)
    store.give_back(lease)
    store.close()
    assert main(course.grade("--resume")) == 1
    assert course.attempts() == {"vm0": 1, "vm1": 1}


@pytest.mark.slow
def test_of_two_who_resume_the_same_run_each_vm_is_graded_by_one(course: Course) -> None:
    _broken_off(course, "vm0").close()
    both = [course.begin("--resume", "--run", "last", "--forks", "2", "--json-lines") for _ in range(2)]
    ends = [json.loads(line) for one in both for line in one.communicate(timeout=120)[0].splitlines()]
    graded = Counter(one["host"] for one in ends if one["event"] == "vm-ended" and one["status"] == "graded")
    assert set(graded.values()) == {1}
    assert course.attempts() == dict.fromkeys(course.names, 1)


class Silent:
    """An observer that tells nothing."""

    def began(self, host: str) -> None:
        pass

    def ended(self, host: str, document: Mapping[str, Any]) -> None:
        pass

    def lost(self, host: str, why: str) -> None:
        pass


def test_a_vm_that_another_has_graded_in_the_meantime_is_left_alone(course: Course) -> None:
    """It was still to do when this process looked, and is not when its turn comes."""
    store = _broken_off(course, "vm0")
    (row,) = store.runs()
    hosts = [Host(name, {"ansible_connection": "local"}) for name in ("vm0", "vm1")]
    plan = plan_for(load_lab(course.root / "graders" / "tiny"))
    book = Book(store, row.run, once=True)
    found, lost = grade_hosts(hosts, plan, StaffLink(None), Silent(), forks=1, book=book)
    assert (found["vm0"]["error_cause"], found["vm1"]["status"], lost) == ("already-graded", "graded", [])
    assert course.attempts() == {"vm0": 1, "vm1": 1}
    # and its lease was given back
    store.give_back(store.take("tiny", identity(hosts[0]), row.run, 60))
    store.close()


def test_what_was_seen_stays_in_memory_only_for_whoever_writes_it_out(course: Course) -> None:
    store = _broken_off(course, "vm0")
    (row,) = store.runs()
    host = Host("vm1", {"ansible_connection": "local"})
    plan = plan_for(load_lab(course.root / "graders" / "tiny"))
    for whole in (False, True):
        book = Book(store, row.run, whole=whole)
        found, _ = grade_hosts([host], plan, StaffLink(None), Silent(), forks=1, book=book)
        assert ("evidence" in found["vm1"]) == whole
        kept = next(one for one in store.kept(row.run) if one.host == "vm1")
        seen = store.evidence(kept)
        assert seen
        assert seen["observations"]
    store.close()


def test_the_events_are_one_json_object_a_line(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    course.inventory({"vm0": "ansible_connection: local", "gone": "ansible_host: 127.0.0.1, ansible_port: 1"})
    course.there("vm0")
    assert main([*course.grade("all"), "--json-lines"]) == 3
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (events[0]["event"], events[0]["hosts"]) == ("run-began", 2)
    assert (events[-1]["event"], events[-1]["status"], events[-1]["failed"]) == ("run-ended", 3, 1)
    ended = {one["host"]: one for one in events if one["event"] == "vm-ended"}
    assert (ended["vm0"]["status"], ended["vm0"]["score"], ended["vm0"]["tries"]) == ("graded", 5, [])
    assert (ended["gone"]["error_cause"], len(ended["gone"]["tries"])) == ("unreachable", 2)
    assert {(one["schema"], one["run"]) for one in events} == {(1, events[0]["run"])}


def _broken_off(course: Course, *done: str, options: list[str] | None = None) -> Store:
    """A run of all VMs of which ``done`` were graded, as a kill leaves it."""
    main(course.grade("all", *(options or [])))
    store = open_store(course.url)
    (row,) = store.runs()
    _forget(course, row.run, done)
    return store


def _forget(course: Course, run: str, done: tuple[str, ...]) -> None:
    with sqlite3.connect(course.root / "results.sqlite") as link:
        link.execute(f"delete from attempts where host not in ({','.join('?' * len(done))})", done)
        link.execute("update runs set finished = null where run = ?", (run,))
    link.close()


def test_on_a_terminal_one_line_changes_and_only_problems_have_their_own(course: Course) -> None:
    course.inventory(
        {
            **dict.fromkeys(("vm0", "vm1", "vm2"), "ansible_connection: local"),
            "gone": "ansible_host: 127.0.0.1, ansible_port: 1",
        }
    )
    done = subprocess.run(
        ["script", "-qec", shlex.join([*LABCTL, *course.grade("all", "--json")]), "/dev/null"],
        env={**environment(), "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", done.stdout)
    assert "/4 done, " in shown
    assert "running" in shown
    assert "gone: unreachable: 127.0.0.1 port 1: Connection refused (try 3)" in shown
    assert "vm0: 0 of 5" not in shown


def test_elsewhere_each_vm_has_a_plain_line(course: Course, capsys: pytest.CaptureFixture[str]) -> None:
    main(course.grade("vm0", "vm1"))
    err = capsys.readouterr().err
    assert "[2/2]" in err
    assert "vm0: 0 of 5" in err
    assert "\x1b" not in err
