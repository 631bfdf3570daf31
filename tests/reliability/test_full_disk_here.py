"""labctl's own disk is full: what was graded stays, nothing is damaged, and the rest is graded later."""

from __future__ import annotations

import json
import random
import resource
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tiny import Course
from vms import LABCTL, environment, labctl

from labctl.store import open_store

pytestmark = pytest.mark.slow

SEEDS = [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 20))]
NO_ROOM = "No space left on device"


@pytest.fixture
def course(tmp_path: Path) -> Course:
    made = Course(tmp_path, 30)
    made.there("vm0")
    return made


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of half a megabyte."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=512k", "labctl-test", place], check=True)
    yield place
    subprocess.run(["umount", place], check=True)


def broken_off_and_resumed(
    course: Course, done: subprocess.CompletedProcess[str], room: Callable[[], None]
) -> None:
    """The run ended in order, and the rest is graded when there is room."""
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert "cannot be written" in done.stderr
    assert "labctl grade --resume --run " in done.stderr
    hosts = {host["host"]: host for host in json.loads(done.stdout)["hosts"]}
    kept = course.attempts()
    lost = {name for name in course.names if f"{name}: its result could not be kept" in done.stderr}
    left = {name for name, host in hosts.items() if host["error_cause"] == "not-begun"}
    assert left, "there was room for all"
    assert set(kept) | lost | left == set(course.names)
    assert not set(kept) & (lost | left)
    assert all("free there" in hosts[name]["error"] for name in left)
    whole(course)
    room()
    more = labctl(*course.grade("--resume"))
    assert more.returncode == 1, more.stderr
    after = course.attempts()
    assert kept <= after
    assert after == dict.fromkeys(course.names, 1)
    whole(course)


def whole(course: Course) -> None:
    link = sqlite3.connect(course.url.removeprefix("sqlite:///"))
    assert link.execute("pragma integrity_check").fetchall() == [("ok",)]
    link.close()


@pytest.mark.root
@pytest.mark.parametrize("seed", SEEDS)
def test_a_full_disk_in_the_middle_of_a_class(course: Course, small: Path, seed: int) -> None:
    course.url = f"sqlite:///{small}/results.sqlite"
    open_store(course.url, create=True).close()
    ballast = small / "ballast"
    free = 512 * 1024 - sum(one.stat().st_size for one in small.iterdir())
    ballast.write_bytes(bytes(free - random.Random(seed).randrange(16, 48) * 1024))
    done = labctl(*course.grade("all", "--json", "--forks", "4"))
    broken_off_and_resumed(course, done, ballast.unlink)


def test_a_file_that_may_not_grow_in_the_middle_of_a_class(course: Course) -> None:
    """As by a quota, and for an ordinary user too."""
    open_store(course.url, create=True).close()
    allowed = (course.root / "results.sqlite").stat().st_size + 24 * 1024

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (allowed, allowed))

    broken_off_and_resumed(
        course, labctl(*course.grade("all", "--json", "--forks", "4"), before=limited), lambda: None
    )


@pytest.mark.root
def test_a_disk_that_is_full_from_the_start_begins_nothing(course: Course, small: Path) -> None:
    course.url = f"sqlite:///{small}/results.sqlite"
    (small / "ballast").write_bytes(bytes(500 * 1024))
    done = labctl(*course.grade("all"))
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert f"make room in {small}" in done.stderr
    assert "vm0" not in done.stderr
    (small / "ballast").unlink()
    assert labctl(*course.grade("all")).returncode == 1


@pytest.mark.root
@pytest.mark.parametrize("form", ["html", "csv", "json"])
def test_an_export_that_finds_no_room_leaves_what_was_there(course: Course, small: Path, form: str) -> None:
    assert labctl(*course.grade("all")).returncode == 1
    page = small / f"class.{form}"
    page.write_text("the one of before")
    (small / "ballast").write_bytes(bytes(508 * 1024))
    argv = ["export", "last", "--format", form, "-o", str(page), "--database", course.url]
    done = labctl(*argv, "--course", str(course.root), "-i", str(course.root / "hosts.yml"))
    assert (done.returncode, done.stderr) == (2, f"labctl: cannot write {page}: {NO_ROOM}\n")
    assert page.read_text() == "the one of before"
    assert sorted(one.name for one in small.iterdir()) == ["ballast", page.name]
    (small / "ballast").unlink()
    again = labctl(*argv, "--course", str(course.root), "-i", str(course.root / "hosts.yml"))
    assert (again.returncode, "vm29" in page.read_text()) == (0, True)


@pytest.mark.root
def test_a_document_that_finds_no_room_is_said_and_the_results_are_kept(course: Course, small: Path) -> None:
    (small / "ballast").write_bytes(bytes(508 * 1024))
    done = labctl(*course.grade("all", "-o", str(small / "grades.json")))
    assert done.returncode == 2
    assert f"cannot write {small}/grades.json: {NO_ROOM}" in done.stderr
    assert "vm0" in done.stdout
    assert course.attempts() == dict.fromkeys(course.names, 1)


def test_a_full_disk_behind_stdout_is_said(course: Course) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*LABCTL, "lab", "show", "tiny", "--json", "--course", str(course.root)],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 3
    assert done.stderr.startswith(f"labctl: the output could not be written: {NO_ROOM}\n")
    assert "Traceback" not in done.stderr
