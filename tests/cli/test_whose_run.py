"""Whose run --resume goes on with, and on which machines: a grade is never given to the wrong student."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import Course
from vms import LABCTL, environment
from waiting import wait_for

from labctl.cli import main
from labctl.store import open_store
from labctl.store.holder import _began, this_process

SOMEBODY = {**this_process(), "user": "bob", "machine": "lab-server", "where": "", "pid": 7}


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path, 3)


def _leave(course: Course, change: Callable[[dict[str, Any]], object] = bool, *done: str) -> str:
    """The last run, as if it had been broken off; what it was begun with is changed. Its id."""
    with sqlite3.connect(course.root / "results.sqlite") as link:
        run, asked = link.execute("select run, asked from runs order by run desc").fetchone()
        document = json.loads(asked)
        change(document)
        link.execute("update runs set finished = null, asked = ? where run = ?", (json.dumps(document), run))
        marks = ",".join("?" * len(done))
        link.execute(f"delete from attempts where run = ? and host not in ({marks})", (run, *done))
    link.close()
    return str(run)


def _waiting(course: Course) -> dict[str, int]:
    store = open_store(course.url)
    try:
        return {one.run: one.waiting for one in store.runs()}
    finally:
        store.close()


@pytest.mark.slow
def test_a_run_that_a_colleague_is_at_is_not_gone_on_with(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two sections whose VMs have the same names, and one database."""
    main(course.grade("all"))
    mine = _leave(course)
    main(course.grade("all"))
    with subprocess.Popen(["sleep", "120"]) as other:
        wait_for(lambda: Path(f"/proc/{other.pid}/comm").read_text() == "sleep\n", "sleep", seconds=10)
        at_it = {**this_process(), "pid": other.pid, "began": _began(other.pid)}
        going = _leave(course, lambda asked: asked.update(by=[at_it]), "vm0")
        try:
            capsys.readouterr()
            assert main(course.grade("--resume")) == 1
            assert f"going on with the run {mine} (tiny): 3 VMs to grade" in capsys.readouterr().err
            assert _waiting(course) == {mine: 0, going: 2}
            assert main(course.grade("--resume")) == 2
            err = capsys.readouterr().err
        finally:
            other.kill()
    assert f"the run {going} is being graded by" in err
    assert f"labctl grade --resume --run {going}" in err
    assert main(course.grade("--resume")) == 1
    assert _waiting(course) == {mine: 0, going: 0}


@pytest.mark.slow
def test_a_run_that_another_broke_off_is_gone_on_with_when_it_is_named(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    main(course.grade("all"))
    run = _leave(course, lambda asked: asked.update(by=[SOMEBODY]))
    capsys.readouterr()
    assert main(course.grade("--resume")) == 2
    err = capsys.readouterr().err
    assert f"the run {run} was broken off, and is bob@lab-server's" in err
    assert f"labctl grade --resume --run {run}" in err
    assert main(course.grade("--resume", "--run", run)) == 1
    assert _waiting(course) == {run: 0}
    # and now it is this user's too
    _leave(course)
    assert main(course.grade("--resume")) == 1


@pytest.mark.slow
def test_a_run_that_another_machine_holds_a_vm_of_is_going_on(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    main(course.grade("all"))
    run = _leave(course, lambda asked: asked.update(by=[{**SOMEBODY, "user": this_process()["user"]}]))
    store = open_store(course.url)
    lease = store.take("tiny", "10.0.0.9:22", run, 100)
    with sqlite3.connect(course.root / "results.sqlite") as link:
        link.execute("update leases set holder = ?", (json.dumps(SOMEBODY),))
    link.close()
    capsys.readouterr()
    assert main(course.grade("--resume")) == 2
    assert f"the run {run} is being graded by bob@lab-server, process 7" in capsys.readouterr().err
    store.give_back(lease)
    store.close()
    assert main(course.grade("--resume")) == 1


@pytest.mark.slow
def test_a_run_of_an_earlier_labctl_is_gone_on_with(course: Course) -> None:
    main(course.grade("all"))
    run = _leave(course, lambda asked: [asked.pop(key) for key in ("by", "at")], "vm0")
    assert main(course.grade("--resume")) == 1
    assert _waiting(course) == {run: 0}


@pytest.mark.slow
def test_a_name_that_now_means_another_machine_is_refused(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    main(course.grade("all"))
    run = _leave(course, lambda asked: asked["at"].update(vm1="10.0.0.1:22"), "vm0")
    capsys.readouterr()
    assert main(course.grade("--resume", "--run", run)) == 2
    err = capsys.readouterr().err
    assert "vm1 was 10.0.0.1:22, and is vm1 on " in err
    assert f"labctl grade vm1 --run {run}" in err
    assert _waiting(course) == {run: 2}
    # it moved, says who names it
    assert main(course.grade("vm1", "--run", run)) == 3
    assert "vm1 was 10.0.0.1:22, and is vm1 on " in capsys.readouterr().err
    assert main(course.grade("--resume", "--run", run)) == 1


@pytest.mark.slow
def test_a_vm_that_was_added_by_its_address_is_resumed_by_it(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    main(course.grade("vm0"))
    assert main(course.grade("alice@127.0.0.1:9", "--run", "last")) == 3
    run = _leave(course, bool, "vm0")
    capsys.readouterr()
    assert main(course.grade("--resume", "--run", run)) == 3
    assert "no host or group" not in capsys.readouterr().err
    assert course.attempts() == {"vm0": 1, "127.0.0.1:9": 1}


@pytest.mark.slow
def test_a_vm_that_was_added_is_not_judged_by_the_answers_of_the_first(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = course.root / "mine.yml"
    answers.write_text("{}\n")
    main(course.grade("vm0"))
    run = _leave(course, lambda asked: asked.update(answers=str(answers)))
    other = course.root / "theirs.yml"
    other.write_text("{}\n")
    main(course.grade("vm1", "--run", run, "--answers", str(other)))
    _leave(course, bool, "vm0")
    capsys.readouterr()
    assert main(course.grade("--resume")) == 2
    assert f"{answers}, are those of vm0, not of vm1" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_of_a_lab_that_the_course_has_not_is_named(
    course: Course, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(course.grade("vm0"))
    run = _leave(course)
    (course.root / "graders" / "tiny").rename(course.root / "graders" / "other")
    capsys.readouterr()
    assert main(course.grade("--resume")) == 2
    err = capsys.readouterr().err
    assert f"the run {run} is of the lab tiny" in err
    assert "--run RUN" in err


@pytest.mark.slow
def test_sections_that_are_new_since_the_run_began_are_shown(
    course: Course, capsys: pytest.CaptureFixture[str]
) -> None:
    def labctl(*args: str) -> str:
        # a process of its own: a lab is loaded once
        command = [*LABCTL, *args, "--database", course.url]
        return subprocess.run(command, env=environment(), capture_output=True, text=True, check=False).stdout

    main(course.grade("vm0"))
    rubric = course.root / "graders" / "tiny" / "rubric.yml"
    text = rubric.read_text().replace("title: A tiny lab", "title: Renamed")
    text = text.replace("{box: The box}", "{crate: The crate, extra: What is more}")
    text = text.replace('"1", section: box', '"1", section: crate').replace(
        '"2", section: box', '"2", section: extra'
    )
    rubric.write_text(text)
    labctl("regrade", "last", "--diff", "--course", str(course.root))
    assert "The box" in labctl("show", "last", "vm0")
    labctl("regrade", "last", "--course", str(course.root))
    shown = labctl("show", "last", "vm0")
    assert [one in shown for one in ("The crate", "What is more", "Renamed", "box.file")] == [True] * 4
