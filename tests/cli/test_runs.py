"""runs, show and regrade over kept runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from graded import document
from vms import labctl
from world import LAB, World, mount

from labctl.grading import lab_document
from labctl.store import open_store

pytestmark = pytest.mark.slow

RUN = "20261121T080000-aaaaaa"
LOST = {
    "host": "student3", "status": "error", "error": "unreachable: no answer", "error_cause": "unreachable",
    "error_hint": "is it on?", "score": None, "score_so_far": None, "max_score": None, "seconds": None,
    "restored": None, "connections": 0, "round_trips": 0, "left_out": [], "checks": [],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of three VMs: right, mounted read-only, and not reached."""
    monkeypatch.setenv("LABCTL_DATABASE", f"sqlite:///{tmp_path}/results.sqlite")
    store = open_store(create=True)
    store.begin(RUN, lab_document(LAB), "2026-11-21T08:00:00Z", ["student1", "student2", "student3"])
    store.add(RUN, document("student1"))
    store.add(
        RUN, document("student2", World(mounts=[mount(options=("relatime", "ro"), super_options=("ro",))]))
    )
    store.add(RUN, LOST)
    store.finish(RUN)
    store.close()


def told(*args: str, status: int = 0) -> Any:
    done = labctl(*args, "--json")
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def test_runs_lists_them() -> None:
    (row,) = told("runs")["runs"]
    assert (row["run"], row["lab"], row["hosts"], row["graded"]) == (RUN, "lab7", 3, 2)
    assert "2 of 3 VMs graded" in labctl("runs").stdout


def test_show_prints_the_scorecards_again() -> None:
    one, two, three = told("show", "last")["hosts"]
    assert (one["score"], two["score"] < one["score"], three["error_cause"]) == (60.0, True, "unreachable")
    text = labctl("show", "2026", "student2").stdout
    assert "The private directory is mounted for reading and writing" in text
    assert "student1" not in text
    wrong = labctl("show", "last", "studnet2")
    assert (wrong.returncode, "did you mean student2?" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("more", [[], ["--json"], ["--evidence", "all"], ["--evidence", "all", "--json"]])
def test_a_vm_of_the_run_without_a_result_is_told_with_what_to_do(more: list[str]) -> None:
    store = open_store()
    store.begin("20261122T080000-bbbbbb", lab_document(LAB), "2026-11-22T08:00:00Z", ["student1", "late"])
    store.add("20261122T080000-bbbbbb", document("student1"))
    store.close()
    done = labctl("show", "last", "late", *more)
    assert (done.returncode, done.stdout) == (2, "")
    assert "there is no result of late yet" in done.stderr
    assert "labctl grade --resume --run 20261122T080000-bbbbbb" in done.stderr


def test_show_names_the_vms_that_are_not_graded_yet() -> None:
    assert told("show", "last")["not_graded_yet"] == []
    store = open_store()
    store.begin("20261122T080000-bbbbbb", lab_document(LAB), "2026-11-22T08:00:00Z", ["student1", "late"])
    store.add("20261122T080000-bbbbbb", document("student1"))
    store.close()
    assert told("show", "last")["not_graded_yet"] == ["late"]
    assert labctl("show", "last").stdout.splitlines()[-1] == "not graded yet: late"
    assert "late" not in labctl("show", "last", "student1").stdout


def test_show_with_its_output_closed_has_nowhere_to_print_and_is_no_fault() -> None:
    done = labctl("show", "last", before=lambda: os.close(1))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_evidence_of_a_check_says_what_was_asked_and_what_came_back() -> None:
    text = labctl("show", "last", "student2", "--evidence", "nfs.read-write").stdout
    assert "mounts(" in text
    assert "from the VM itself" in text
    assert '"ro"' in text
    every = told("show", "last", "student2", "--evidence", "all")["observations"]
    (key,) = [name for name in every if name.startswith("mounts-")]
    assert list(told("show", "last", "student2", "--evidence", key)["observations"]) == [key]
    wrong = labctl("show", "last", "student2", "--evidence", "nfs.readwrite")
    assert (wrong.returncode, "did you mean nfs.read-write?" in wrong.stderr) == (2, True)
    lost = labctl("show", "last", "student3", "--evidence", "all")
    assert (lost.returncode, "could not be reached" in lost.stderr) == (2, True)


def test_judging_again_by_the_same_checks_changes_nothing() -> None:
    result = told("regrade", "last")
    assert [(one["host"], one["checks"]) for one in result["hosts"]] == [("student1", []), ("student2", [])]
    assert result["without_evidence"] == ["student3"]
    assert [one["attempt"] for one in told("show", "last")["hosts"]] == [2, 2, 1]


#: What documents did not have when labctl was young.
LATER = {"layer", "question", "answer", "for_staff", "blocked_by"}


def test_a_run_from_an_older_version_still_shows_and_is_judged_as_far_as_it_goes() -> None:
    old = document("student1")
    for name in ("first_broken", "identity", "tries"):
        del old[name]
    old["checks"] = [{key: row[key] for key in row if key not in LATER} for row in old["checks"]]
    old["target"] = {**old["target"], "campus": "of a version in between"}
    del old["target"]["answered"], old["target"]["secrets"]
    seen = old["evidence"]["observations"]
    dropped = [key for key in seen if key.startswith("write_trial-")]
    for key in dropped:
        del seen[key]
    strange = next(key for key in seen if key.startswith("bind-"))
    seen[strange]["value"] = {"zone": "as it was told then"}
    store = open_store()
    store.begin("20200101T080000-bbbbbb", lab_document(LAB), "2020-01-01T08:00:00Z", ["student1"])
    store.add("20200101T080000-bbbbbb", old)
    store.finish("20200101T080000-bbbbbb")
    store.close()

    assert "60" in labctl("show", "2020").stdout
    assert set(told("show", "2020", "student1", "--evidence", "all")["observations"]) == set(seen)
    # 3: a VM that had its grade has none now
    (host,) = told("regrade", "2020", status=3)["hosts"]
    assert host["not_recorded"]["nfs.write"] == dropped
    assert host["not_recorded"]["dns.config"] == [strange]
    # all else is judged as it was: only these, and what rests on them, are not
    kept = told("show", "2020")["hosts"][0]["checks"]
    undone = {row["id"] for row in kept if row["verdict"] == "error"}
    assert {row["id"] for row in host["checks"] if row["after"]} == undone
    assert "nfs.item" not in undone
    said = labctl("regrade", "2020", "--diff").stdout
    assert "nfs.write: what it needs was not recorded in that run (student1)" in said


def test_a_changed_rubric_says_who_gains_and_why(tmp_path: Path) -> None:
    course = tmp_path / "course"
    course.mkdir()
    root = Path(__file__).parent.parent.parent
    for name in ("labctl.toml", "playbooks", "templates"):
        (course / name).symlink_to(root / name)
    shutil.copytree(root / "graders", course / "graders")
    nfs = course / "graders" / "lab7" / "nfs.py"
    changed = nfs.read_text().replace("if mine and mine.writable:", "if mine:")
    nfs.write_text(changed)
    rubric = course / "graders" / "lab7" / "rubric.yml"
    text = rubric.read_text()
    assert "nfs.package: {points: 1}" in text
    rubric.write_text(text.replace("nfs.package: {points: 1}", "nfs.package: {points: 3}"))
    only = told("regrade", "last", "--diff", "--course", str(course), status=3)
    assert only["kept"] is False
    first, second = only["hosts"]
    # the weight was raised from 1 to 3: who had the point has all three, and the maximum grew with it
    (row,) = first["checks"]
    assert (row["id"], row["before"]["score"], row["after"]["score"]) == ("nfs.package", 1, 3)
    assert (first["after"], first["max_score"]) == (62, 62)
    rows = {row["id"]: (row["before"], row["after"]) for row in second["checks"]}
    before, after = rows["nfs.read-write"]
    assert (before["verdict"], after["verdict"]) == ("fail", "pass")
    # what was skipped then was never looked at: that is nobody's fault, and said
    write = rows["nfs.write"][1]
    assert write["verdict"] in ("pass", "error")
    assert [one["attempt"] for one in told("show", "last")["hosts"]] == [1, 1, 1]
    text = labctl("regrade", "last", "--course", str(course)).stdout
    assert "nfs.read-write: fail 0/1 -> pass 1/1" in text
    assert [one["attempt"] for one in told("show", "last")["hosts"]] == [2, 2, 1]
