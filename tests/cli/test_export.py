"""labctl export over kept runs."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import sqlite3
from pathlib import Path

import pytest
from exported import GOOD, LOST, READ_ONLY, RUN, validate
from vms import labctl
from world import LAB

from labctl.grading import lab_document
from labctl.store import open_store

pytestmark = pytest.mark.slow

ROSTER = """\
name,email,sid,user
"Doe, Kim",kim@example.org,3001,student1
=1+1,lee@example.org,3002,student2
"""


@pytest.fixture(autouse=True)
def _kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of four VMs: right, with a fault, not reached, and not come to before the run was killed."""
    monkeypatch.setenv("LABCTL_DATABASE", f"sqlite:///{tmp_path}/results.sqlite")
    store = open_store(create=True)
    names = ["student1", "student2", "student3", "student4"]
    store.begin(RUN, lab_document(LAB), "2026-11-21T08:00:00Z", names)
    for document in (GOOD, READ_ONLY, LOST):
        store.add(RUN, document)
    store.close()


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """The bundled course with a class list."""
    made = tmp_path / "course"
    made.mkdir()
    root = Path(__file__).parent.parent.parent
    for name in ("playbooks", "templates", "graders"):
        (made / name).symlink_to(root / name)
    settings = '\n[roster]\nfile = "roster.csv"\nhost = "{user}"\n'
    (made / "labctl.toml").write_text((root / "labctl.toml").read_text() + settings)
    (made / "roster.csv").write_text(ROSTER)
    return made


@pytest.mark.parametrize("form", ["csv", "gradescope"])
def test_what_some_checks_found_becomes_no_grade_unasked(tmp_path: Path, form: str) -> None:
    store = open_store()
    store.begin("20991231T080000-partial", lab_document(LAB), "2099-12-31T08:00:00Z", ["student1"])
    left_out = [{"id": "lb.crash-503", "reason": "not asked for"}]
    store.add("20991231T080000-partial", {**GOOD, "left_out": left_out})
    store.close()
    out = tmp_path / "grades"
    words = ["export", "last", "--format", form, "-o", str(out)]
    done = labctl(*words)
    assert (done.returncode, out.exists()) == (2, False)
    assert "left out 1 checks of student1, such as lb.crash-503" in done.stderr
    assert labctl(*words, "--partial").returncode == 0
    assert labctl("export", "last", "--format", "html", "-o", str(out)).returncode == 0


def test_a_class_becomes_a_directory_and_nobody_without_a_grade_gets_a_score(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    out.mkdir()
    (out / "student3.json").write_text("what an earlier run came to")
    done = labctl("export", "last", "--format", "gradescope", "-o", str(out))
    assert done.returncode == 3, done.stderr
    assert "no file was written for student3, student4" in done.stderr
    assert sorted(path.name for path in out.iterdir()) == ["student1.json", "student2.json"]
    for path in out.iterdir():
        validate(json.loads(path.read_text()))
        assert path.stat().st_mode & 0o777 == 0o600
    one = tmp_path / "results.json"
    assert labctl("export", "last", "student2", "--format", "gradescope", "-o", str(one)).returncode == 0
    assert one.read_text() == (out / "student2.json").read_text()


def test_the_gradebook_knows_the_class_list(tmp_path: Path, course: Path) -> None:
    out = tmp_path / "grades.csv"
    done = labctl("export", RUN, "--format", "csv", "-o", str(out), "--course", str(course))
    assert done.returncode == 3, done.stderr
    assert "written without a score: student3, student4" in done.stderr
    assert "without a student, as the inventory names none for them: student3, student4\n" in done.stderr
    with out.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["sid"], row["score"]) for row in rows] == [
        ("Doe, Kim", "3001", "60"),
        ("'=1+1", "3002", "56"),
        ("", "", ""),
        ("", "", ""),
    ]
    assert rows[3]["error"] == "not-graded: the run ended before its turn"


def test_what_is_not_of_this_run_is_named(tmp_path: Path) -> None:
    out = tmp_path / "scores"
    out.mkdir()
    (out / "student9.json").write_text("another run's")
    words = ["export", "last", "--format", "gradescope", "-o", str(out)]
    assert f"{out}: not of this run, and still there: student9.json\n" in labctl(*words).stderr
    (out / "student9.json").unlink()
    assert "not of this run" not in labctl(*words).stderr


def test_points_do_not_go_out_under_the_name_of_who_has_the_vm_now(tmp_path: Path) -> None:
    inventory = tmp_path / "inventory.yml"
    out = tmp_path / "grades.csv"
    words = ["export", "last", "student1", "--format", "csv", "-o", str(out), "-i", str(inventory)]
    for user, names in (("kim", ""), ("alice", "Kim Doe")):
        inventory.write_text(f"all: {{hosts: {{student1: {{lab_user: {user}, student_name: Kim Doe}}}}}}\n")
        told = labctl(*words).stderr
        warned = "student1 was graded for alice, and the inventory has another student there now" in told
        with out.open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert (warned, row["name"], row["score"]) == (not names, names, "60")
        assert "the inventory names none" not in told


def test_a_vm_without_a_grade_leaves_no_file_of_an_earlier_run(tmp_path: Path) -> None:
    real, link = tmp_path / "results.json", tmp_path / "link"
    link.symlink_to(real)
    for name in (real, link):
        real.write_text("what an earlier run came to")
        done = labctl("export", "last", "student3", "--format", "gradescope", "-o", str(name))
        assert (done.returncode, real.exists(), link.is_symlink()) == (3, False, True), done.stderr
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert labctl("export", "last", "student3", "--format", "gradescope", "-o", str(pipe)).returncode == 3
    assert pipe.is_fifo()


def test_every_vm_has_a_file_of_its_own_however_long_its_name_is(tmp_path: Path) -> None:
    names = ["学" * 40, "学" * 41, "student1", "a" * 255]
    store = open_store()
    store.begin("20261122T080000-bbbbbb", lab_document(LAB), "2026-11-22T08:00:00Z", names)
    for name in names:
        store.add("20261122T080000-bbbbbb", {**GOOD, "host": name})
    store.close()
    out = tmp_path / "scores"
    done = labctl("export", "20261122", "--format", "gradescope", "-o", str(out))
    assert done.returncode == 0, done.stderr
    assert "4 of 4 VMs" in done.stderr
    hosts = [json.loads(path.read_text())["extra_data"]["host"] for path in out.iterdir()]
    assert sorted(hosts) == sorted(names)
    assert (out / "student1.json").is_file()


def test_a_form_that_shows_no_evidence_does_not_need_it(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute("update evidence set data = x'00' where id = 1")
        connection.commit()
    for name in ("gradescope", "csv", "junit", "tap"):
        done = labctl("export", "last", "student1", "--format", name, "-o", str(tmp_path / name))
        assert done.returncode == 0, done.stderr


def test_damaged_evidence_of_a_vm_is_told_and_all_else_is_written(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute("update evidence set data = x'00' where id = 1")
        connection.commit()
    for name in ("json", "html"):
        done = labctl("export", "last", "--format", name, "-o", str(tmp_path / name))
        assert done.returncode == 3
        assert f"written without what was seen: the run {RUN}, VM student1: what was seen" in done.stderr
        assert f"labctl grade student1 --run {RUN}" in done.stderr
    first, second, *_ = json.loads((tmp_path / "json").read_text())["hosts"]
    assert (first["score"], "evidence" in first, "damaged" in first["evidence_error"]) == (60, False, True)
    assert second["evidence"]["observations"]
    assert "student1" in (tmp_path / "html").read_text()
    done = labctl("export", "last", "student1", "--format", "json", "-o", str(tmp_path / "json"))
    assert done.returncode == 3
    assert (
        labctl("export", "last", "student2", "--format", "json", "-o", str(tmp_path / "one")).returncode == 0
    )


def test_a_damaged_result_is_a_vm_without_a_grade_and_hides_no_other(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute("update attempts set document = x'00' where host = 'student1'")
        connection.commit()
    told = f"not to be read: the run {RUN}, VM student1: the result"
    shown, stats, differ = (
        labctl(*argv, "--json") for argv in (["show", "last"], ["stats", "last"], ["compare", "last", "last"])
    )
    for done in (shown, stats, differ):
        assert done.returncode == 0, done.stderr
        assert told in done.stderr
        assert f"labctl grade student1 --run {RUN}" in done.stderr
    first, second, *_ = json.loads(shown.stdout)["hosts"]
    assert (first["host"], first["status"], first["score"]) == ("student1", "error", None)
    assert (first["error_cause"], second["status"]) == ("damaged", "graded")
    assert json.loads(stats.stdout)["statistics"]["not_graded"] >= 1
    for name in ("csv", "html", "junit", "json"):
        done = labctl("export", "last", "--format", name, "-o", str(tmp_path / name))
        assert done.returncode == 3
        assert told in done.stderr
        assert "student2" in (tmp_path / name).read_text()
    alone = labctl("show", "last", "student1")
    assert alone.returncode == 2
    assert f"labctl grade student1 --run {RUN}" in alone.stderr


def test_a_fault_in_the_inventory_of_another_vm_stops_no_export(tmp_path: Path, course: Path) -> None:
    (tmp_path / "other.yml").write_text("all: {hosts: {other: {student_name: '{{ nobody }}'}, student1: }}\n")
    out = tmp_path / "grades.csv"
    where = ["-i", str(tmp_path / "other.yml"), "--course", str(course)]
    done = labctl("export", "last", "student1", "--format", "csv", "-o", str(out), *where)
    assert done.returncode == 0, done.stderr
    assert "student1" in out.read_text()


@pytest.mark.parametrize("name", ["csv", "junit", "tap", "json", "html"])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, name: str) -> None:
    out = tmp_path / "there"
    out.write_text("before")
    before = out.stat().st_ino
    done = labctl("export", "last", "student1", "--format", name, "-o", str(out))
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert out.stat().st_ino != before
    assert len(out.read_text()) > 500
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (["last", "--format", "xls", "-o", "x"], "'xls' is not one of"),
        (["last", "studnet1", "--format", "csv", "-o", "x"], "did you mean student1?"),
        (["2025", "--format", "csv", "-o", "x"], "there is no run '2025'"),
        (["last", "--format", "csv", "-o", "."], ". is a directory"),
        (["last", "--format", "gradescope", "-o", "file"], "file is a file"),
        (["last", "--format", "csv", "-o", "no/such/grades.csv"], "cannot write no/such/grades.csv"),
        (["last", "--format", "csv"], "Missing option '-o'"),
    ],
)
def test_what_cannot_be_done_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[str], told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept")
    done = labctl("export", *args)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "file").read_text() == "kept"
