"""labctl.pyz: one file, for a machine with Python and nothing else; with what students need and no more."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pythons import interpreter

from labctl.grading import load_lab

ROOT = Path(__file__).parent.parent.parent


def build(*args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "pyz" / "build.py"), *args],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def pyz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("pyz") / "labctl.pyz"
    done = build("-o", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    return target


def pythons() -> list[str]:
    """This one, and what else there is of those of Ubuntu 22.04 and later ones."""
    others = map(interpreter, ("python3.10", "python3.11", "python3.12", "python3.13"))
    return [sys.executable, *filter(None, others)]


def run(pyz: Path, home: Path, *args: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    """Without the installed packages, and nothing of the tests' own surroundings."""
    kept = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
    return subprocess.run(
        [python, "-IS", str(pyz), *args], env=kept, cwd=home, capture_output=True, text=True, check=False
    )


def texts(pyz: Path) -> Iterator[tuple[str, str]]:
    """The course's and labctl's own members. Libraries have words of their own."""
    with zipfile.ZipFile(pyz) as archive:
        for name in archive.namelist():
            if not name.startswith("site-packages/") or name.startswith("site-packages/labctl/"):
                yield name, archive.read(name).decode("utf-8")


@pytest.mark.slow
def test_it_grades_with_a_python_that_has_nothing_else(pyz: Path, tmp_path: Path) -> None:
    for python in pythons():
        first = run(pyz, tmp_path, "grade", "--only", "nfs.package", "--json", python=python)
        assert first.returncode in (0, 1), first.stdout + first.stderr
        (host,) = json.loads(first.stdout)["hosts"]
        assert [row["id"] for row in host["checks"]] == ["nfs.package"]
        reasons = {one["id"]: one["reason"] for one in host["left_out"]}
        assert reasons["nfs.item-on-server"] == "checked by staff"
        again = run(pyz, tmp_path, "grade", "--only", "nfs.package", python=python)
        assert again.returncode == first.returncode, again.stderr
        if first.returncode:
            assert "python3 labctl.pyz grade --only nfs.package" in again.stdout


@pytest.mark.slow
def test_it_is_small_and_unpacks_once(pyz: Path, tmp_path: Path) -> None:
    assert pyz.stat().st_size < 3_000_000
    with zipfile.ZipFile(pyz) as archive:
        assert not [name for name in archive.namelist() if name.endswith((".so", ".pyd"))]
    assert run(pyz, tmp_path, "--help").returncode == 0
    (unpacked,) = (tmp_path / ".cache" / "labctl").iterdir()
    marked = unpacked / "site-packages" / "labctl" / "__init__.py"
    marked.write_text(marked.read_text() + "\n# kept\n")
    assert run(pyz, tmp_path, "lab", "show").returncode == 0
    assert "# kept" in marked.read_text()


@pytest.mark.slow
@pytest.mark.root
def test_what_another_user_can_write_is_not_run(pyz: Path, tmp_path: Path) -> None:
    assert run(pyz, tmp_path, "--help").returncode == 0
    (unpacked,) = (tmp_path / ".cache" / "labctl").iterdir()
    (unpacked / "site-packages" / "labctl" / "cli" / "__init__.py").write_text(
        "raise SystemExit('taken over')"
    )
    os.chown(unpacked, 65534, 65534)
    done = run(pyz, tmp_path, "--help")
    assert done.returncode == 0, done.stderr
    assert "grade" in done.stdout


@pytest.mark.slow
def test_a_home_that_cannot_be_written_to_is_no_obstacle(pyz: Path, tmp_path: Path) -> None:
    done = run(pyz, Path("/proc"), "lab", "show")
    assert done.returncode == 0, done.stderr
    assert "Networked Services" in done.stdout


@pytest.mark.slow
def test_what_it_cannot_do_is_said(pyz: Path, tmp_path: Path) -> None:
    other = run(pyz, tmp_path, "grade", "me@192.0.2.1")
    assert other.returncode == 2
    assert "the machine that it runs on" in other.stderr
    with open("/dev/full", "w") as full:
        argv = [sys.executable, "-IS", str(pyz), "lab", "show"]
        done = subprocess.run(
            argv, env={"HOME": str(tmp_path)}, stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert b"could not be written: No space left on device" in done.stderr
    assert b"kept" not in done.stderr
    setup = run(pyz, tmp_path, "setup", "all")
    assert setup.returncode == 2
    assert "It has: grade, services, lab" in setup.stderr
    assert "setup" not in run(pyz, tmp_path, "--help").stdout
    delivered = run(pyz, tmp_path, "grade", "--deliver")
    assert (delivered.returncode, "name the VMs" in delivered.stderr) == (2, True)


@pytest.mark.slow
def test_an_old_python_is_told(pyz: Path, tmp_path: Path) -> None:
    """Its own words, not a SyntaxError: so the file must be one that it can read."""
    with zipfile.ZipFile(pyz) as archive:
        started = archive.read("__main__.py").decode()
    ast.parse(started, feature_version=(3, 6))
    as_if = f"import runpy, sys; sys.version_info = (3, 9, 2, 'final', 0); runpy.run_path({str(pyz)!r})"
    done = subprocess.run(
        [sys.executable, "-ISc", as_if],
        env={"HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "needs Python 3.10" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_nothing_of_the_staff_is_in_it(pyz: Path) -> None:
    """Words of the staff's checks, of the checks of answers, and of the rubric's ideas."""
    secrets = set(staff_words())
    assert len(secrets) > 5
    for name, text in texts(pyz):
        found = sorted(one for one in secrets if one in text)
        assert not found, f"{name} holds {found}"
        assert "/staff" not in name
        assert not re.search(r"labctl/(gradescope|playbook|sandbox|store|verify)/", name)


def staff_words() -> Iterator[str]:
    """What nobody may read in the built file."""
    home = ROOT / "graders" / "lab7"
    theirs = {home / "staff.py", home / "services.py", *home.glob("answers*.py")}
    others = {word for file in set(home.glob("*.py")) - theirs for word in strings(file)}
    yield from {word for file in theirs for word in strings(file)} - others
    for home in (ROOT / "graders").glob("*/rubric.yml"):
        for question in load_lab(home.parent).rubric.questions:
            for idea in question.answer.ideas if question.answer else ():
                yield idea.name
                yield from idea.any


def strings(file: Path) -> Iterator[str]:
    """Every text of some length: titles, hints, what is expected, patterns."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 30:
            yield node.value


@pytest.mark.slow
def test_it_knows_every_check_that_a_student_can_run(pyz: Path, tmp_path: Path) -> None:
    lab = load_lab(ROOT / "graders" / "lab7")
    staff = ("nfs.item-on-server", "nfs.write-on-server")
    theirs = {one.id: one.points for one in lab.checks if one.id not in staff and not one.is_answer}
    shown = json.loads(run(pyz, tmp_path, "lab", "show", "--json").stdout)
    assert {one["id"]: one["max_score"] for one in shown["checks"]} == theirs


@pytest.mark.slow
def test_the_same_sources_make_the_same_file(pyz: Path, tmp_path: Path) -> None:
    again = tmp_path / "labctl.pyz"
    assert build("-o", str(again)).returncode == 0
    assert again.read_bytes() == pyz.read_bytes()


LAB = """\
from pathlib import Path
from labctl.grading import Lab, load_rubric, staff_checks
from .web.pages.index import CHECKS
MORE
LAB = Lab.of("tiny", load_rubric(Path(__file__).with_name("rubric.yml")), CHECKS + staff_checks(__name__))
"""
INDEX = """\
from labctl.grading import check, passed
from ...words import TITLE
from .. import pages
@check("box.fine", question="1")
def fine(vm, see):
    '''It is fine.'''
    return passed(TITLE)
CHECKS = (fine,)
"""
RUBRIC = """\
title: Tiny
sections: {box: Box}
questions: [{id: "1", section: box}]
checks: {box.fine: {points: 1}}
"""


def course(root: Path, more: str = "") -> Path:
    lab = root / "graders" / "tiny"
    files = {
        "__init__.py": LAB.replace("MORE", more), "words.py": "TITLE = 'x'\n", "web/__init__.py": "",
        "web/pages/__init__.py": "", "web/pages/index.py": INDEX, "rubric.yml": RUBRIC,
        "staff.py": "from . import theirs\nSECRET = 1\nCHECKS = ()\n", "theirs.py": "", "words.txt": "x",
    }  # fmt: skip
    for name, text in files.items():
        (lab / name).parent.mkdir(parents=True, exist_ok=True)
        (lab / name).write_text(text)
    return root


@pytest.mark.slow
def test_a_lab_of_several_packages_is_in_it_whole_and_without_the_staffs(tmp_path: Path) -> None:
    made = tmp_path / "tiny.pyz"
    done = build("--course", str(course(tmp_path)), "-o", str(made), "tiny")
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(made) as archive:
        names = {name.partition("graders/tiny/")[2] for name in archive.namelist()} - {""}
    assert names == {
        "__init__.py", "rubric.json", "words.py", "web/__init__.py", "web/pages/__init__.py",
        "web/pages/index.py",
    }  # fmt: skip
    graded = run(made, tmp_path, "grade", "--json")
    assert (graded.returncode, json.loads(graded.stdout)["lab"]) == (0, "tiny"), graded.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lab", "more", "said"),
    [
        ("tiny", "from .staff import SECRET", "students could not load lab tiny"),
        ("tiny", "Path(__file__).with_name('words.txt').read_text()", "words.txt"),
        ("tiny", "1 / 0", "ZeroDivisionError"),
        ("tiny", "def (:", "SyntaxError"),
        ("tny", "", "did you mean tiny?"),
    ],
)
def test_a_lab_that_students_could_not_load_is_refused(
    tmp_path: Path, lab: str, more: str, said: str
) -> None:
    done = build("--course", str(course(tmp_path, more)), "-o", str(tmp_path / "out" / "tiny.pyz"), lab)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("out/*"))
