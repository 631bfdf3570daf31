"""Which course directory is used, and what its settings may say."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from labctl.cli.context import Setting
from labctl.cli.course import find_course
from labctl.errors import CourseError, RequestError

ROOT = Path(__file__).parent.parent.parent


def make(path: Path, settings: str = "") -> Path:
    path.mkdir(parents=True, exist_ok=True)
    (path / "labctl.toml").write_text(settings)
    (path / "playbooks").mkdir(exist_ok=True)
    (path / "playbooks" / "site.yml").write_text("[]\n")
    return path


def test_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, named, here = (make(tmp_path / name) for name in ("given", "named", "here"))
    monkeypatch.delenv("LABCTL_COURSE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert find_course().root == ROOT
    monkeypatch.chdir(here)
    assert find_course().root == here
    monkeypatch.setenv("LABCTL_COURSE", str(named))
    assert find_course().root == named
    assert find_course(given).root == given


def test_a_directory_anybody_can_write_to_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trap = make(tmp_path / "trap")
    trap.chmod(0o777)
    monkeypatch.delenv("LABCTL_COURSE", raising=False)
    monkeypatch.chdir(trap)
    with pytest.raises(CourseError, match="anybody may write to") as caught:
        find_course()
    assert f"chmod o-w {trap}" in caught.value.hint
    assert "--course" in caught.value.hint
    assert find_course(trap).root == trap
    trap.chmod(0o775)  # a team's
    assert find_course().root == trap


@pytest.mark.root
@pytest.mark.parametrize("theirs", [".", "labctl.toml", "playbooks", "graders", "graders/lab"])
def test_root_runs_nobody_elses_graders_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, theirs: str
) -> None:
    course = make(tmp_path / "course")
    (course / "graders" / "lab").mkdir(parents=True)
    monkeypatch.delenv("LABCTL_COURSE", raising=False)
    monkeypatch.delenv("SUDO_UID", raising=False)
    monkeypatch.chdir(course)
    assert find_course().root == course
    os.chown(course / theirs, 65534, 65534)
    with pytest.raises(CourseError, match="belongs to another user, and you are root") as caught:
        find_course()
    assert f"--course {course}" in caught.value.hint
    assert find_course(course).root == course
    monkeypatch.setenv("SUDO_UID", "65534")
    assert find_course().root == course


def test_where_one_may_not_look_there_is_no_course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``sudo -u alice labctl``, typed in /root."""
    looked = Path.is_file

    def is_file(path: Path) -> bool:
        if path.parent == tmp_path:
            raise PermissionError(13, "Permission denied", str(path))
        return looked(path)

    monkeypatch.delenv("LABCTL_COURSE", raising=False)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "is_file", is_file)
    assert find_course().root == ROOT
    with pytest.raises(CourseError, match="is no course directory"):
        find_course(tmp_path)


def test_the_students_file_takes_no_course_from_where_it_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    course = make(tmp_path / "course")
    monkeypatch.delenv("LABCTL_COURSE", raising=False)
    monkeypatch.chdir(course)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert find_course().root == ROOT
    assert find_course(course).root == course


@pytest.mark.parametrize(
    ("settings", "message", "hint"),
    [
        ("[setpu]\n", "setpu", "did you mean setup?"),
        ("[setup]\nplaybook = []\n", "setup.playbook", "did you mean setup.playbooks?"),
        ('[setup]\nplaybooks = "x"\n', "must be a list", ""),
        ("[setup\n", "not valid TOML", ""),
    ],
)
def test_settings_are_checked(tmp_path: Path, settings: str, message: str, hint: str) -> None:
    with pytest.raises(CourseError, match=message) as caught:
        find_course(make(tmp_path / "c", settings))
    assert caught.value.hint == hint


def test_settings_that_notepad_saved_are_read(tmp_path: Path) -> None:
    course = make(tmp_path, "\ufeff[setup]\nplaybooks = []\n")
    assert find_course(course).settings == {"setup": {"playbooks": []}}


def test_playbooks_by_name(tmp_path: Path) -> None:
    course = find_course(make(tmp_path / "c", '[setup]\nplaybooks = ["site"]\n'))
    assert course.default_playbooks("setup") == [course.playbooks / "site.yml"]
    with pytest.raises(CourseError) as caught:
        course.playbook("sit")
    assert caught.value.hint == "did you mean site?"
    with pytest.raises(CourseError, match="names no playbooks for reset"):
        course.default_playbooks("reset")


def test_a_roster_joins_the_courses_inventory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = '[inventory]\npath = "hosts"\n[roster]\nfile = "class.csv"\nhost = "{user}"\ngroup = "lab"\n'
    course = make(tmp_path / "c", settings)
    (course / "hosts").write_text("server\nkim ansible_port=2200\n")
    (course / "class.csv").write_text("user,name,sid,email\nkim,Kim,1,k@x\nlee,Lee,2,l@x\n")
    monkeypatch.delenv("LABCTL_INVENTORY", raising=False)
    monkeypatch.setenv("LABCTL_SANDBOX", "none-such")
    hosts = Setting.current(course=course).inventory.hosts
    assert {name: host.groups for name, host in hosts.items()} == {
        "server": ("ungrouped",),
        "kim": ("lab",),
        "lee": ("lab",),
    }
    assert (hosts["kim"].port, hosts["kim"].variables["student_name"]) == (2200, "Kim")
    # With an inventory named, the class is not among the machines.
    assert set(Setting.current([course / "hosts"], course).inventory.hosts) == {"server", "kim"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('[roster]\nfile = "class.csv"\n', r"roster\.host is missing"),
        ('[roster]\nfile = "class.xlsx"\nhost = "{user}"\n', "a CSV file, not class.xlsx"),
        ('[roster]\nhost = "vm"\n', r"roster\.host 'vm' does not name"),
        ('[roster]\nhosts = "vm"\n', r"unknown setting 'roster\.hosts'"),
    ],
)
def test_the_rosters_settings_are_checked(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        Setting.current(course=make(tmp_path / "c", settings))
    assert caught.value.place is not None
