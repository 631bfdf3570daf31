"""A VM that shows more than can be kept of one VM: its own fault, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny import Course

from labctl.cli import main
from labctl.store import packing

pytestmark = pytest.mark.slow


def test_a_vm_of_which_too_much_was_seen_is_an_error_and_the_class_is_graded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    course = Course(tmp_path, 3)
    for name in course.names:
        course.there(name).write_text("\x01" * 15_000 if name == "vm1" else "")
    monkeypatch.setattr(packing, "_MAX_BYTES", 50_000)
    assert main([*course.grade("all", "--forks", "1"), "--json"]) == 3
    hosts = json.loads(capsys.readouterr().out)["hosts"]
    assert [(one["score"], one.get("error_cause")) for one in hosts] == [
        (5, None),
        (None, "too-large"),
        (5, None),
    ]
    assert hosts[1]["seconds"] is not None
    database = ["--database", course.url]
    assert main(["show", "last", "vm1", *database]) == 0
    assert "more was seen of this VM than can be kept" in capsys.readouterr().out
    # the others' ways are free
    assert main(["regrade", "last", "--course", str(course.root), *database]) == 0
    where = [
        "--course",
        str(course.root),
        "-i",
        str(course.root / "hosts.yml"),
        "-o",
        str(tmp_path / "class.html"),
    ]
    assert main(["export", "last", "--format", "html", *where, *database]) == 3
    course.there("vm1").write_text("")
    assert main(course.grade("vm1", "--run", "last")) == 0
