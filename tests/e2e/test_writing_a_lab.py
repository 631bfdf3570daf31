"""docs/writing-a-lab.md to the letter: its files are written and its commands typed, in its order."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from vms import environment

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "writing-a-lab.md"
_BLOCK = re.compile(r"(?:<!-- file: (?P<file>\S+) -->\n)?```(?P<kind>\w*)\n(?P<body>.*?)```", re.DOTALL)


def steps() -> list[tuple[str, str]]:
    """A file's name and its text, or "" and a command; in the order of the page."""
    found: list[tuple[str, str]] = []
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["file"]:
            found.append((block["file"], block["body"]))
        else:
            assert block["kind"] == "console", f"neither a file nor commands:\n{block['body']}"
            found += [("", line[2:]) for line in block["body"].splitlines() if line.startswith("$ ")]
    return found


@pytest.mark.vm
@pytest.mark.timeout(900)
@pytest.mark.root
def test_the_page_makes_a_lab_that_is_proved(tmp_path: Path) -> None:
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "labctl").write_text(f'#!/bin/sh\nexec {sys.executable} -m labctl "$@"\n')
    (bin_ / "labctl").chmod(0o755)
    course = tmp_path / "course"
    course.mkdir()
    kept = {**environment(), "PYTHONPATH": str(ROOT), "PATH": f"{bin_}:{os.environ['PATH']}"}
    said = ""
    for file, text in steps():
        if file:
            assert (course / file).exists(), f"{file}: labctl lab new makes another file"
            (course / file).write_text(text)
            continue
        done = subprocess.run(
            ["bash", "-c", text],
            cwd=course,
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        assert done.returncode == 0, f"$ {text}\n{done.stdout}{done.stderr}"
        said = done.stdout
    assert "4 of 4 mutants lose exactly what they should" in said


def test_a_new_lab_takes_nothing_elses_place(tmp_path: Path) -> None:
    def new(name: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "labctl", "lab", "new", name, "--course", str(tmp_path)]
        return subprocess.run(argv, env=environment(), capture_output=True, text=True, check=False)

    assert new("one").returncode == 0
    rubric = tmp_path / "graders" / "one" / "rubric.yml"
    rubric.write_text("mine")
    again = new("one")
    assert (again.returncode, rubric.read_text()) == (2, "mine")
    assert "is there already" in again.stderr
    assert new("two").returncode == 0
    assert 'lab = "one"' in (tmp_path / "labctl.toml").read_text()
    for wrong in ("Web", "web-server", "../web", "1a", ""):
        done = new(wrong)
        assert done.returncode == 2, done.stdout
        assert "Traceback" not in done.stderr
