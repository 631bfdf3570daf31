"""labctl grade and lab: exit statuses, one document on stdout, a file beside it."""

from __future__ import annotations

import json
import socket
import sqlite3
from pathlib import Path

import pytest
from openssh import key_pair
from tiny import Course, make_course

from labctl.cli import main


@pytest.fixture
def course(tmp_path: Path) -> Path:
    return make_course(tmp_path)


def test_this_machine_with_a_failure_and_then_without(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["grade", "--course", str(course)]) == 1
    out, err = capsys.readouterr()
    assert "FAIL    0/3   The file is there." in out
    assert "SKIP    0/2   There is more to it." in out
    assert "localhost" in err
    (course / "localhost").touch()
    assert main(["grade", "--course", str(course)]) == 0
    assert "Total  5 of 5 points" in capsys.readouterr().out


def test_json_is_one_document_and_the_file_has_the_same(
    course: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    target = tmp_path / "out.json"
    assert main(["grade", "--course", str(course), "--json", "-o", str(target)]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document == json.loads(target.read_text())
    assert (document["schema"], document["lab"]) == (1, "tiny")
    (host,) = document["hosts"]
    assert {"host", "status", "error", "score", "max_score", "seconds", "restored", "checks"} <= set(host)
    assert (host["status"], host["score"], host["max_score"], host["round_trips"]) == ("graded", 0, 5, 2)
    first = host["checks"][0]
    assert {
        "id", "question", "title", "verdict", "score", "max_score", "expected", "seen", "hint",
        "vantage", "evidence",
    } <= set(first)  # fmt: skip
    assert first["evidence"][0] in host["evidence"]["observations"]


def test_what_checks_and_labs_print_is_no_part_of_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    course = Course(tmp_path, 1)
    lab = course.root / "graders" / "tiny" / "__init__.py"
    lab.write_text(
        lab.read_text().replace("    if see(", '    print("looking")\n    if see(') + 'print("here")\n'
    )
    main(course.grade("all", "--json"))
    out, err = capsys.readouterr()
    (host,) = json.loads(out)["hosts"]
    assert (host["status"], "here" in err, "looking" in err) == ("graded", True, True)
    main(course.grade("all", "--json-lines"))
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["event"] for line in lines][-1] == "run-ended"
    where = ["--course", str(course.root), "--database", course.url]
    main(["regrade", "last", "--json", *where])
    out, err = capsys.readouterr()
    assert (json.loads(out)["schema"], "looking" in err) == (1, True)


def test_what_disrupts_is_left_out_and_counted(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["grade", "--course", str(course), "--no-disrupt"])
    out = capsys.readouterr().out
    assert "of 3 points" in out
    assert "1 checks left out: 1 not asked for" in out


def test_only_brings_what_a_check_needs(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["grade", "--course", str(course), "--only", "box.more", "--json"])
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert [check["id"] for check in host["checks"]] == ["box.file", "box.more"]


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--only", "box.fiel"], "did you mean box.file?"),
        (["--lab", "tinny"], "did you mean tiny?"),
        (["--only", "box.more", "--lab", "tiny", "-o", "/nonexistent/x.json"], "is no directory"),
        (["nosuchvm"], "nosuchvm"),
    ],
)
def test_a_wrong_request_is_refused_before_anything_runs(
    course: Path, capsys: pytest.CaptureFixture[str], args: list[str], said: str
) -> None:
    assert main(["grade", "--course", str(course), *args]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err


def test_a_grader_that_cannot_be_imported_is_named(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (course / "graders" / "tiny" / "__init__.py").write_text("from labctl.grading import Nope\n")
    assert main(["grade", "--course", str(course)]) == 2
    assert "lab tiny cannot be loaded" in capsys.readouterr().err


def test_a_vm_that_is_not_there_is_an_error_and_no_zero(
    course: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all:\n  hosts:\n    gone: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: x}\n"
    )
    assert main(["grade", "gone", "--course", str(course), "-i", str(inventory), "--json"]) == 3
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert (host["status"], host["score"], host["checks"]) == ("error", None, [])
    assert host["error"].startswith("unreachable")


def test_a_vm_that_says_nothing_has_the_seconds_that_were_given(
    course: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    inventory = tmp_path / "hosts.yml"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        key_pair(tmp_path / "id")
        at = f"ansible_host: 127.0.0.1, ansible_port: {port}, ansible_ssh_private_key_file: {tmp_path}/id"
        inventory.write_text(f"all: {{hosts: {{mute: {{{at}}}}}}}\n")
        args = ["--course", str(course), "-i", str(inventory), "--deadline", "5", "--json"]
        assert main(["grade", "mute", *args]) == 3
    (host,) = json.loads(capsys.readouterr().out)["hosts"]
    assert host["error"].startswith("timeout: no agent within 5 s: ")


def test_lab_list_and_show(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lab", "list", "--course", str(course)]) == 0
    assert "tiny  A tiny lab: 2 checks, 5 points" in capsys.readouterr().out
    assert main(["lab", "show", "tiny", "--course", str(course)]) == 0
    assert "The file is there." in capsys.readouterr().out
    assert main(["lab", "show", "tiny", "--course", str(course), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in document["checks"]] == ["box.file", "box.more"]


def test_what_was_found_of_a_vm_is_kept_and_a_failure_to_keep_it_loses_nothing(
    course: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "inventory.yml").write_text("all: {hosts: {here: {ansible_connection: local}}}\n")
    database = tmp_path / "kept.sqlite"
    command = ["grade", "here", "--course", str(course), "-i", str(tmp_path / "inventory.yml")]
    command += ["--database", f"sqlite:///{database}"]
    assert main(command) == 1
    assert main(["show", "last", "--database", f"sqlite:///{database}"]) == 0
    assert capsys.readouterr().out.count("FAIL    0/3   The file is there.") == 2
    with sqlite3.connect(database) as link:
        link.execute(
            "create trigger full before insert on attempts begin select raise(fail, 'disk full'); end"
        )
    link.close()
    assert main(command) == 3
    out, err = capsys.readouterr()
    assert "FAIL    0/3   The file is there." in out
    assert "here: its result could not be kept" in err
    assert "disk full" in err
    assert main(["runs", "--database", f"sqlite:///{database}"]) == 0
    assert "0 of 1 VMs graded, interrupted" in capsys.readouterr().out
