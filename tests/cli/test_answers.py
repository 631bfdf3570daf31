"""labctl grade --answers: files beside VMs, mistakes before anything is sent, kept and judged again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from graded import document
from lab7_answers import RIGHT
from vms import labctl
from world import LAB, SECRET, World

from labctl.cli import main
from labctl.grading import lab_document
from labctl.store import open_store

ROOT = Path(__file__).parent.parent.parent
LAB_TEXT = '''\
"""A lab for tests."""

from pathlib import Path

from labctl.grading import Judgement, Lab, See, Target, check, failed, load_rubric, passed
from labctl.grading.answers import answer, compared, find_ideas, in_own_words

RUBRIC = load_rubric(Path(__file__).with_name("rubric.yml"))


@check("box.open", question="1")
def box(vm: Target, see: See) -> Judgement:
    """It is a box."""
    return passed()


@answer("1")
def colour(vm: Target, see: See, text: str) -> Judgement:
    """You know its colour."""
    return in_own_words(find_ideas(text, RUBRIC.question("1").answer), "it is brown")


@answer("2", applies=lambda vm: "" if vm.secrets else "checked by staff")
def word(vm: Target, see: See, text: str) -> Judgement:
    """You have read the word."""
    same = see(compared("2")).same
    return passed() if same else failed(expected="the word", seen="another", hint="open it")


LAB = Lab.of("tiny", RUBRIC, (box, colour, word))
'''
RUBRIC = """\
title: A tiny lab
sections: {box: The box}
questions:
  - id: "1"
    section: box
    answer:
      ask: Which colour?
      points: 2
      kind: text
      ideas: [{name: a colour, points: 2, any: [brown|red]}]
  - id: "2"
    section: box
    answer: {ask: Which word?, points: 1, kind: word, secret: box_word}
checks:
  box.open: {points: 1}
"""
INVENTORY = """\
all:
  hosts:
    alice: {ansible_connection: local}
    bob: {ansible_connection: local, box_word: pear}
    carol: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: x}
  children:
    staff:
      hosts:
        teacher: {ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: x}
      vars: {box_word: plum}
"""


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LABCTL_DATABASE", f"sqlite:///{tmp_path}/results.sqlite")
    lab = tmp_path / "graders" / "tiny"
    lab.mkdir(parents=True)
    (tmp_path / "labctl.toml").write_text('[grade]\nlab = "tiny"\n')
    (tmp_path / "inventory.yml").write_text(INVENTORY)
    (lab / "__init__.py").write_text(LAB_TEXT)
    (lab / "rubric.yml").write_text(RUBRIC)
    return tmp_path


def grade(course: Path, capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, dict[str, Any]]:
    status = main(["grade", *args, "--course", str(course), "-i", str(course / "inventory.yml"), "--json"])
    out = capsys.readouterr().out
    return status, {host["host"]: host for host in json.loads(out)["hosts"]} if out else {}


def write(path: Path, text: str) -> str:
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return str(path)


def test_without_answers_nothing_about_them_is_in_the_maximum(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, hosts = grade(course, capsys, "alice")
    assert (status, hosts["alice"]["max_score"]) == (0, 1)
    assert {one["id"] for one in hosts["alice"]["left_out"]} == {"answer.1", "answer.2"}


def test_a_file_of_another_vm_is_refused(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bobs = write(course / "bob.yml", "1: It is brown.\n")
    assert (
        main(
            [
                "grade",
                "alice",
                "--answers",
                bobs,
                "--course",
                str(course),
                "-i",
                str(course / "inventory.yml"),
            ]
        )
        == 2
    )
    assert "is named after another VM" in capsys.readouterr().err
    for name in ("bob.yml", "answers.yml"):
        status, hosts = grade(course, capsys, "bob", "--answers", write(course / name, "1: It is brown.\n"))
        assert (status, list(hosts)) == (1, ["bob"])


def test_a_student_checks_their_own_answers_without_the_staffs_word(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(course / "mine.yml", "1: It is brown.\n2: plum\n")
    status, hosts = grade(course, capsys, "--answers", file)
    host = hosts["localhost"]
    assert (status, host["score"], host["max_score"]) == (0, 3, 3)
    assert host["left_out"] == [{"id": "answer.2", "reason": "checked by staff"}]
    shown = main(["grade", "--course", str(course), "--answers", write(course / "no.yml", "1: dunno\n")])
    assert shown == 1
    out = capsys.readouterr().out
    assert "wrote    dunno" in out
    assert "For staff to read: 1" in out


def test_a_directory_has_a_file_for_each_vm(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = course / "answers"
    write(folder / "alice.yml", "1: red\n2: Plum.\n")
    write(folder / "bob.yaml", "2: plum\n")
    write(folder / "carol.yml", "1: red\n")
    status, hosts = grade(course, capsys, "alice", "bob", "--answers", str(folder))
    assert status == 1
    assert (hosts["alice"]["score"], hosts["alice"]["max_score"]) == (4, 4)
    # a VM's own word comes before the staff's; what is not answered is lost
    assert (hosts["bob"]["score"], hosts["bob"]["max_score"]) == (1, 4)
    assert "plum" not in json.dumps(hosts["alice"]["target"])
    assert "pear" not in json.dumps(hosts["bob"])


def test_who_handed_in_nothing_is_said(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(course / "answers" / "alice.yml", "1: red\n")
    arguments = ["grade", "alice", "bob", "--course", str(course), "-i", str(course / "inventory.yml")]
    assert main([*arguments, "--answers", str(course / "answers")]) == 1
    assert "no answers from bob: they count as not given" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "text", "said"),
    [
        (["carol"], "1: x\n3: y\n", "mine.yml:2:1: there is no question '3'"),
        (["carol"], "1: [x\n", "not valid YAML"),
        (["carol"], "1: {a: b}\n", "mine.yml:1:4: an answer is text"),
        (["carol"], f"1: {'x' * 9000}\n", "mine.yml:1:4: this answer has 9000 characters"),
        (["carol", "alice"], "1: x\n", "holds one student's answers, and 2 VMs are named"),
    ],
)
def test_a_mistake_is_one_error_before_anything_is_sent(
    course: Path, capsys: pytest.CaptureFixture[str], args: list[str], text: str, said: str
) -> None:
    file = write(course / "mine.yml", text)
    command = ["grade", *args, "--course", str(course), "-i", str(course / "inventory.yml")]
    assert main([*command, "--answers", file]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert "unreachable" not in err
    assert not (course / "results.sqlite").exists()


def test_other_wrong_requests(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(course / "answers" / "alise.yml", "1: x\n")
    base = ["--course", str(course), "-i", str(course / "inventory.yml")]
    assert main(["grade", "alice", *base, "--answers", str(course / "answers")]) == 2
    assert "did you mean alice?" in capsys.readouterr().err
    assert main(["grade", *base, "--answers", str(course / "answers")]) == 2
    assert "is a directory" in capsys.readouterr().err
    assert main(["grade", "alice", *base, "--only", "answer.1"]) == 2
    assert "--answers FILE" in capsys.readouterr().err
    word = course / "inventory.yml"
    word.write_text(INVENTORY.replace("box_word: plum", "box_word: [plum]"))
    file = write(course / "mine.yml", "1: x\n")
    assert main(["grade", "alice", *base, "--answers", file]) == 2
    assert "box_word must be text" in capsys.readouterr().err


def test_a_run_goes_on_with_the_answers_it_began_with(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(course / "mine.yml", "1: red\n2: plum\n")
    status, hosts = grade(course, capsys, "alice", "--answers", file)
    assert (status, hosts["alice"]["score"]) == (0, 4)
    write(course / "mine.yml", "1: red\n")
    status, hosts = grade(course, capsys, "alice", "--run", "last")
    assert (status, hosts["alice"]["score"], hosts["alice"]["max_score"]) == (1, 3, 4)
    (course / "mine.yml").unlink()
    again = ["grade", "alice", "--run", "last", "--course", str(course), "-i", str(course / "inventory.yml")]
    assert main(again) == 2
    assert "mine.yml: there are no answers here any more" in capsys.readouterr().err


def test_one_vms_answers_are_not_anothers(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = write(course / "mine.yml", "1: red\n2: plum\n")
    grade(course, capsys, "alice", "--answers", file)
    again = ["grade", "bob", "--run", "last", "--course", str(course), "-i", str(course / "inventory.yml")]
    assert main(again) == 2
    assert "are those of alice, not of bob" in capsys.readouterr().err
    own = write(course / "bobs.yml", "1: red\n2: pear\n")
    status, hosts = grade(course, capsys, "bob", "--run", "last", "--answers", own)
    assert (status, hosts["bob"]["score"]) == (0, 4)


RIGHT_ONES = {question: forms[0] for question, forms in RIGHT.items()}
RUN = "20261121T080000-aaaaaa"


def told(*args: str) -> Any:
    done = labctl(*args, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_answers_are_kept_shown_and_judged_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATABASE", f"sqlite:///{tmp_path}/results.sqlite")
    store = open_store(create=True)
    store.begin(RUN, lab_document(LAB), "2026-11-21T08:00:00Z", ["student1", "student2"])
    store.add(RUN, document("student1", World(answers=RIGHT_ONES)))
    store.add(RUN, document("student2", World(answers={**RIGHT_ONES, "2b": "Quux is asked.", "1b": "no"})))
    store.finish(RUN)
    store.close()
    one, two = told("show", "last")["hosts"]
    assert (one["score"], one["max_score"]) == (86, 86)
    assert (two["score"], two["status"]) == (83, "graded")
    (check,) = [row for row in two["checks"] if row["id"] == "answer.2b"]
    assert (check["for_staff"], check["answer"], check["vantage"]) == (True, "Quux is asked.", "vm")
    assert "wrote    Quux is asked." in labctl("show", "last", "student2").stdout
    seen = labctl("show", "last", "student2", "--evidence", "answer.2b").stdout
    assert "what the student wrote" in seen
    assert "127.0.0.53" in seen
    assert all(not row["checks"] for row in told("regrade", "last", "--diff")["hosts"])
    assert SECRET not in json.dumps({**told("show", "last", "student2", "--evidence", "all")})

    course = tmp_path / "course"
    course.mkdir()
    for name in ("labctl.toml", "playbooks", "templates"):
        (course / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "graders", course / "graders")
    rubric = course / "graders" / "lab7" / "rubric.yml"
    rubric.write_text(rubric.read_text().replace("- resolv\\.conf", "- resolv\\.conf|quux"))
    _, again = told("regrade", "last", "--course", str(course))["hosts"]
    (row,) = again["checks"]
    assert (row["id"], row["before"]["score"], row["after"]["score"]) == ("answer.2b", 0, 1)
