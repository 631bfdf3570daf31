"""regrade, and a resumed run's document, where not everything that was kept can be read."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from tiny import Course
from vms import labctl

from labctl.cli import main
from labctl.store import open_store
from labctl.store.packing import packed

pytestmark = pytest.mark.slow


@pytest.fixture
def course(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Course:
    """Three VMs with full marks, graded before a check got more points."""
    made = Course(tmp_path, 3)
    for name in made.names:
        made.there(name)
    assert main(made.grade("all")) == 0
    rubric = tmp_path / "graders" / "tiny" / "rubric.yml"
    rubric.write_text(rubric.read_text().replace("points: 3", "points: 8"))
    capsys.readouterr()
    return made


def damage(course: Course, statement: str) -> None:
    engine = create_engine(course.url)
    with engine.begin() as connection:
        connection.execute(text(statement), {"damaged": b"\x00\xff"})
    engine.dispose()


OF_VM1 = "where id = (select max(evidence) from attempts where host = 'vm1')"
UNREADABLE = f"update evidence set data = :damaged {OF_VM1}"


def regrade(course: Course, *args: str) -> subprocess.CompletedProcess[str]:
    return labctl("regrade", "last", "--course", str(course.root), "--database", course.url, *args)


def grade(course: Course, *args: str) -> int:
    return labctl(*course.grade(*args)).returncode


def points(course: Course) -> dict[str, tuple[float, float]]:
    shown = labctl("show", "last", "--json", "--database", course.url)
    hosts: list[dict[str, Any]] = json.loads(shown.stdout)["hosts"]
    return {one["host"]: (one["score"], one["max_score"]) for one in hosts}


def test_a_look_that_cannot_be_read_is_named_and_keeps_no_other_from_being_judged(course: Course) -> None:
    damage(course, UNREADABLE)
    for more in (["--diff"], [], []):
        done = regrade(course, *more)
        assert done.returncode == 3, done.stderr
        assert "vm1: what was seen" in done.stdout
        assert "still graded by the points of before: vm1" in done.stderr
        assert "labctl grade vm1 --run 20" in done.stderr
    assert points(course) == {"vm0": (10, 10), "vm1": (5, 5), "vm2": (10, 10)}
    (row,) = json.loads(regrade(course, "--json").stdout)["unreadable"]
    assert (row["host"], row["attempt"], "damaged" in row["why"]) == ("vm1", 1, True)
    # and what was said to help does
    assert grade(course, "vm1", "--run", "last") == 0
    done = regrade(course)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(points(course).values()) == {(10, 10)}


def test_a_damaged_result_is_named_too(course: Course) -> None:
    damage(course, "update attempts set document = :damaged where host = 'vm1'")
    done = regrade(course)
    assert done.returncode == 3, done.stderr
    assert "vm1: the result" in done.stdout
    store = open_store(course.url)
    assert [row.attempts for row in store.runs()] == [5]
    store.close()


def test_what_a_later_labctl_saw_is_named_too(course: Course) -> None:
    store = open_store(course.url)
    (first, *_) = store.kept(store.find("last"))
    seen = store.evidence(first)
    store.add(first.run, {**first.document, "evidence": {**(seen or {}), "format": 99}})
    store.close()
    done = regrade(course)
    assert done.returncode == 3, done.stderr
    assert "vm0: a later labctl wrote what was seen: evidence of format 99" in done.stdout
    assert points(course) == {"vm0": (5, 5), "vm1": (10, 10), "vm2": (10, 10)}


@pytest.mark.parametrize("rule", ["best", "first"])
def test_where_another_attempt_would_not_count_that_is_said(course: Course, rule: str) -> None:
    damage(course, UNREADABLE)
    assert grade(course, "vm1", "--run", "last", "--keep", rule) == 0
    done = regrade(course)
    assert done.returncode == 3
    assert f"the {rule} attempt counts in this run; --keep last" in done.stderr
    assert grade(course, "vm1", "--run", "last", "--keep", "last") == 0
    assert regrade(course).returncode == 0


def test_a_look_that_does_not_count_loses_nobody_the_grade(course: Course) -> None:
    """Of two looks at a VM one lacks what the checks ask for."""
    assert grade(course, "vm1", "--run", "last") == 0
    store = open_store(course.url)
    (first, _) = (one for one in store.judgements(store.find("last")) if one.host == "vm1")
    bare = packed({**(store.evidence(first) or {}), "observations": {}})
    store.close()
    engine = create_engine(course.url)
    with engine.begin() as connection:
        found = {"data": bare, "id": first.evidence_id}
        connection.execute(text("update evidence set data = :data where id = :id"), found)
    engine.dispose()
    done = regrade(course, "--diff")
    assert (done.returncode, done.stderr) == (0, "")
    assert "3 VMs judged again, 0 with nothing changed" in done.stdout
    # and where it counts, the other does from now on
    assert grade(course, "vm2", "--run", "last", "--keep", "first") == 0
    done = regrade(course)
    assert (done.returncode, "no grade any more" in done.stderr) == (3, False)
    assert "another attempt counts now, as what was seen cannot be judged any more: vm1;" in done.stderr
    assert points(course)["vm1"] == (10, 10)


def test_a_lab_that_lay_elsewhere_is_judged_by_there_again(course: Course, tmp_path: Path) -> None:
    """The course's lab of that name gives other points."""
    elsewhere = tmp_path / "tried" / "tiny"
    shutil.copytree(tmp_path / "graders" / "tiny", elsewhere)
    rubric = elsewhere / "rubric.yml"
    rubric.write_text(rubric.read_text().replace("points: 8", "points: 5"))
    assert grade(course, "all", "--lab", str(elsewhere)) == 0
    before = points(course)
    assert regrade(course).returncode == 0
    assert points(course) == before == dict.fromkeys(course.names, (7, 7))
    shutil.rmtree(elsewhere)
    done = regrade(course)
    assert done.returncode == 2
    assert str(elsewhere.parent) in done.stderr


def test_a_run_without_results_has_nothing_to_judge(course: Course) -> None:
    damage(course, "delete from attempts where :damaged is not null")
    for more in ([], ["--diff"], ["--json"]):
        done = regrade(course, *more)
        assert (done.returncode, done.stdout) == (2, "")
        assert "there is no result of any VM yet, so there is nothing to judge again" in done.stderr
        assert "labctl grade --resume --run 20" in done.stderr


def test_a_run_in_which_nothing_was_seen_keeps_nothing(course: Course) -> None:
    damage(course, "update attempts set evidence = null where :damaged is not null")
    done = regrade(course)
    assert done.returncode == 0
    assert "there was nothing to judge, and nothing was kept" in done.stdout
    assert "kept as a new attempt" not in done.stdout


def test_a_resumed_run_has_its_document_without_what_cannot_be_read(course: Course) -> None:
    damage(course, UNREADABLE)
    damage(course, "delete from attempts where host = 'vm2' and :damaged is not null")
    damage(course, "update runs set finished = null where :damaged is not null")
    # by its name: the process that began it is this one, which has not ended
    (run,) = (
        one["run"] for one in json.loads(labctl("runs", "--database", course.url, "--json").stdout)["runs"]
    )
    done = labctl(*course.grade("--resume", "--run", run, "--json"))
    hosts = {one["host"]: one for one in json.loads(done.stdout)["hosts"]}
    assert {name: "evidence" in one for name, one in hosts.items()} == {
        "vm0": True,
        "vm1": False,
        "vm2": True,
    }
    assert "damaged" in hosts["vm1"]["evidence_error"]
    assert "written without what was seen: the run" in done.stderr
