"""labctl lab show: the rubric, the student's page and the file for answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from labctl.cli import main


def told(capsys: pytest.CaptureFixture[str], *args: str, status: int = 0) -> str:
    assert main(["lab", "show", *args]) == status
    out, err = capsys.readouterr()
    return out if status == 0 else err


def test_pages_go_to_stdout_or_into_a_new_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for option in ("--handout", "--answers-template"):
        text = told(capsys, "lab7", option)
        path = tmp_path / option.strip("-")
        assert told(capsys, "lab7", option, "-o", str(path)) == ""
        assert path.read_text() == text
    assert yaml.safe_load(told(capsys, "--answers-template"))["3f"] == ""
    assert "# Networked Services" in told(capsys, "lab7", "--handout")


def test_a_file_that_exists_is_left_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    mine = tmp_path / "answers.yml"
    mine.write_text("1a: sudo mount ...\n")
    said = told(capsys, "lab7", "--answers-template", "-o", str(mine), status=2)
    assert f"{mine} exists already" in said
    assert mine.read_text() == "1a: sudo mount ...\n"
    assert "cannot write" in told(capsys, "--handout", "-o", str(tmp_path / "none" / "x.md"), status=2)


def test_the_handout_has_the_names_of_the_course_or_of_one_student(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    inventory = tmp_path / "class.yml"
    hosts = {name: {"lab_user": name, "lab_fqdn": f"{name}.example.org."} for name in ("ann", "bob")}
    everybody = {"hosts": {**hosts, "staff": {}}, "vars": {"nfs_server": "nfs.example.org"}}
    inventory.write_text(yaml.safe_dump({"all": everybody}))
    with_names = ("lab7", "--handout", "-i", str(inventory), "--for")
    assert "`nfs.example.org:/opt/lab7/private/USER`" in told(capsys, *with_names, "all")
    mine = told(capsys, *with_names, "ann")
    assert "`nfs.example.org:/opt/lab7/private/ann`" in mine
    assert "`http://ann.example.org:7000/`" in mine
    inventory.write_text("all: {hosts: {}}\n")
    assert "all names no VM in" in told(capsys, *with_names, "all", status=2)
    inventory.write_text(yaml.safe_dump({"all": everybody}))
    assert "did you mean ann?" in told(capsys, *with_names, "anne", status=2)
    assert "--for is for the student's page" in told(capsys, "lab7", "--for", "ann", status=2)


def test_json_is_the_rubric_and_not_a_page(capsys: pytest.CaptureFixture[str]) -> None:
    document = json.loads(told(capsys, "lab7", "--json"))
    assert document["max_score"] == 60
    (one,) = [check for check in document["checks"] if check["id"] == "dns.answers"]
    assert (one["layer"], one["after"], one["question"]) == ("answer on the VM", ["dns.zone"], "2d")
    assert one["explained_by"] == ["dns.port"]
    assert document["questions"][1]["answer"]["kind"] == "command"
    assert "--json is for the rubric" in told(capsys, "lab7", "--json", "--handout", status=2)


def test_a_mistake_in_a_rubric_is_told_with_its_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    lab = tmp_path / "graders" / "tiny"
    lab.mkdir(parents=True)
    (tmp_path / "labctl.toml").write_text('[grade]\nlab = "tiny"\n')
    (lab / "__init__.py").write_text(
        "from pathlib import Path\nfrom labctl.grading import Lab, load_rubric\n"
        'LAB = Lab.of("tiny", load_rubric(Path(__file__).with_name("rubric.yml")), ())\n'
    )
    (lab / "rubric.yml").write_text("title: Tiny\nsections: {a: A}\nquestion: []\nchecks: {}\n")
    said = told(capsys, "--course", str(tmp_path), status=2)
    assert f"{lab / 'rubric.yml'}:3:" in said
    assert "did you mean questions?" in said


@pytest.mark.parametrize(
    ("what", "said"),
    [("a file", "graders: File exists"), ("a long name", "File name too long"), ("no room", "No space left")],
)
def test_a_lab_that_cannot_be_written_leaves_nothing_behind(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, said: str
) -> None:
    if what == "a file":
        (tmp_path / "graders").write_text("mine")
    elif what == "no room":
        opened = Path.open

        def full(path: Path, *args: Any, **how: Any) -> Any:
            file = opened(path, *args, **how)
            if path.name == "rubric.yml" and args == ("x",):
                file.close()
                file = opened(Path("/dev/full"), "w")
            return file

        monkeypatch.setattr(Path, "open", full)
    before = sorted(tmp_path.rglob("*"))
    assert main(["lab", "new", "x" * (301 if what == "a long name" else 1), "--course", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "labctl: cannot write" in err
    assert said in err
    assert sorted(tmp_path.rglob("*")) == before
