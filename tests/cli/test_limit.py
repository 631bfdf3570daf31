"""--limit, the file that a failed run leaves, and the command that goes on with it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.cli.limit import again

pytestmark = pytest.mark.slow

INVENTORY = """\
all:
  hosts:
    good: {ansible_connection: local}
    bad: {ansible_connection: local}
    gone: {ansible_host: 127.0.0.1, ansible_port: 1, labctl_known_hosts: /dev/null}
"""
PLAYBOOK = """\
- hosts: all
  tasks:
    - ping:
    - command: test -e {flag}
      when: inventory_hostname == "bad"
"""


class Course:
    """A course directory of its own, and the user's state beside it."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "course"
        self.flag = tmp_path / "mended"
        self.state = tmp_path / "state"
        (self.root / "playbooks").mkdir(parents=True)
        (self.root / "labctl.toml").write_text(
            '[setup]\nplaybooks = ["p"]\n[reset]\nplaybooks = ["p"]\n[inventory]\npath = "i.yml"\n'
        )
        (self.root / "i.yml").write_text(INVENTORY)
        (self.root / "playbooks" / "p.yml").write_text(PLAYBOOK.replace("{flag}", str(self.flag)))
        self.environment = {
            "PATH": "/usr/bin:/bin",
            "HOME": str(tmp_path),
            "LABCTL_SANDBOX": "none",
            "PYTHONPATH": ":".join(sys.path),
            "XDG_STATE_HOME": str(self.state),
        }

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "labctl", *words],
            cwd=self.root,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def kept(self) -> list[Path]:
        return [path for path in (self.state / "labctl" / "failed").rglob("*") if path.is_file()]


@pytest.fixture
def course(tmp_path: Path) -> Course:
    return Course(tmp_path)


def hosts(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    return {host["host"]: host["status"] for host in json.loads(done.stdout)["hosts"]}


@pytest.mark.parametrize("command", ["setup", "reset"])
def test_the_command_told_after_a_failure_goes_on_with_the_failed_vms(course: Course, command: str) -> None:
    done = course.run(command, "all", "--json")
    assert done.returncode == 3
    assert hosts(done) == {"good": "ok", "bad": "failed", "gone": "unreachable"}
    (path,) = course.kept()
    assert path.name == command
    assert path.read_text().splitlines()[1:] == ["bad", "gone"]

    told = shlex.split(done.stderr.splitlines()[-1])
    assert told == ["labctl", command, "all", "--json", "--limit", f"@{path}"]
    course.flag.touch()
    done = course.run(*told[1:])
    assert hosts(done) == {"bad": "ok", "gone": "unreachable"}
    assert path.read_text().splitlines()[1:] == ["gone"]

    assert course.run(command, "good", "bad").returncode == 0
    assert course.kept() == []


def test_grade_keeps_those_that_it_could_not_judge(course: Course) -> None:
    bundled = Path(__file__).parent.parent.parent / "graders"
    (course.root / "graders").symlink_to(bundled)
    done = course.run("grade", "gone", "--json")
    assert done.returncode == 3, done.stderr
    (path,) = course.kept()
    assert path.name == "grade"
    done = course.run("grade", "--limit", f"@{path}", "--json")
    assert [host["host"] for host in json.loads(done.stdout)["hosts"]] == ["gone"]


@pytest.mark.parametrize("command", ["setup", "reset", "grade"])
def test_nobody_to_work_on_is_said(course: Course, command: str) -> None:
    (course.root / "i.yml").write_text("all: {children: {students: {hosts: {}}}}\n")
    for word in ("all", "students"):
        done = course.run(command, word)
        assert done.returncode == 2
        assert f"{word} names no VM in {course.root}/i.yml" in done.stderr


def test_a_vm_of_no_inventory_is_kept_so_that_it_can_be_reached_again(course: Course) -> None:
    done = course.run("setup", "joe@127.0.0.1:2", "--json")
    assert done.returncode == 3
    (path,) = course.kept()
    assert path.read_text().splitlines()[1:] == ["joe@127.0.0.1:2"]
    done = course.run(*shlex.split(done.stderr.splitlines()[-1])[1:])
    assert hosts(done) == {"127.0.0.1:2": "unreachable"}


def test_two_vms_behind_one_address_are_told_of_and_gone_on_with_apart(course: Course) -> None:
    names = ["joe@127.0.0.1:2", "joe@127.0.0.1:3"]
    both = {"127.0.0.1:2": "unreachable", "127.0.0.1:3": "unreachable"}
    done = course.run("setup", *names, "--json")
    assert hosts(done) == both
    (path,) = course.kept()
    assert path.read_text().splitlines()[1:] == names
    assert hosts(course.run(*shlex.split(done.stderr.splitlines()[-1])[1:])) == both

    (course.root / "graders").symlink_to(Path(__file__).parent.parent.parent / "graders")
    database = f"sqlite:///{course.root}/r.sqlite"
    graded = course.run("grade", *names, "--json", "--database", database)
    assert [host["host"] for host in json.loads(graded.stdout)["hosts"]] == list(both), graded.stderr
    shown = course.run("show", "last", "127.0.0.1:3", "--json", "--database", database)
    assert [host["host"] for host in json.loads(shown.stdout)["hosts"]] == ["127.0.0.1:3"], shown.stderr


def test_a_vm_named_without_a_port_keeps_its_name_when_it_is_gone_on_with(course: Course) -> None:
    done = course.run("setup", "joe@127.0.0.127", "--json")
    (path,) = course.kept()
    assert path.read_text().splitlines()[1:] == ["joe@127.0.0.127"]
    assert hosts(course.run(*shlex.split(done.stderr.splitlines()[-1])[1:])) == hosts(done)


def test_a_file_that_notepad_saved_is_read(course: Course) -> None:
    (course.root / "f").write_text("\ufeffgood\r\n")
    done = course.run("setup", "--limit", "@f", "--json")
    assert hosts(done) == {"good": "ok"}, done.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# one\ngood\n  goof # typing error\n", "f:3:3: no host or group in i.yml is called 'goof'"),
        ("# nothing\n\n", "f: the file of --limit names no VM"),
        (None, "f: cannot read the file of --limit: No such file"),
    ],
)
def test_a_wrong_file_is_named_with_its_line(course: Course, text: str | None, message: str) -> None:
    if text is not None:
        (course.root / "f").write_text(text)
    done = course.run("setup", "all", "--limit", "@f")
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr.replace(f"{course.root}/", "")


def test_names_that_mean_something_in_patterns_and_comments_are_gone_on_with(course: Course) -> None:
    gone = "{ansible_host: 127.0.0.1, ansible_port: 1, labctl_known_hosts: /dev/null}"
    names = ["a#b", "a,b", "!bad", "joe@vm", "-x"]
    (course.root / "i.yml").write_text(
        "all:\n  hosts:\n" + "".join(f'    "{one}": {gone}\n' for one in names)
    )
    done = course.run("setup", "--json", "--", *names)
    assert hosts(done) == dict.fromkeys(names, "unreachable"), done.stderr
    told = shlex.split(done.stderr.splitlines()[-1])
    again = course.run(*told[1:])
    assert hosts(again) == hosts(done), again.stderr
    again = course.run("setup", "--json", *told[told.index("--limit") :][:2])
    assert hosts(again) == hosts(done), again.stderr


@given(
    st.lists(st.text(min_size=1).filter(lambda word: not word.startswith("--limit") and word != "--")),
    st.lists(st.text(min_size=1)),
)
def test_every_other_word_of_the_command_is_kept(words: list[str], vms: list[str]) -> None:
    given_words = [*words[:1], "--limit", "@old", *words[1:], "--limit=x", "--", *vms]
    told = shlex.split(again(given_words, Path("/new")))
    assert told == ["labctl", *words, "--limit", "@/new", "--", *vms]


def test_a_run_that_goes_on_is_named_in_place_of_how_it_began() -> None:
    given_words = ["grade", "a", "--only", "x", "--only=y", "--resume", "--json", "--limit", "@old"]
    began = {"--only": True, "--resume": False}
    told = again(given_words, Path("/new"), began, ("--run", "R"))
    assert told == "labctl grade a --json --run R --limit @/new"
