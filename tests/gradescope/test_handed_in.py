"""The answers that are handed in with a receipt: found, judged by what was seen, or staff's verdict kept."""

from __future__ import annotations

import pytest
from exported import GOOD
from lab7_answers import RIGHT
from uploaded import Upload, answers_file, points, vm_points


def answers(**changed: str) -> str:
    return answers_file({**{question: texts[0] for question, texts in RIGHT.items()}, **changed})


def test_answers_are_judged_by_what_was_seen_of_the_vm(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.hand_in(answers(), "answers.yml")
    results = upload.graded()
    assert points(results) == sum(test["max_score"] for test in results["tests"])
    assert points(results) > vm_points(results) + 15
    # these take the VM itself
    assert "For staff to read, and not in these points: 2b, 2c, 3c." in results["output"]
    upload.hand_in(answers(**{"1b": "guess", "1f": "nothing.txt"}), "answers.yml")
    failed = {
        test["extra_data"]["check"] for test in upload.graded()["tests"] if test.get("status") == "failed"
    }
    assert failed == {"answer.1b", "answer.1f"}


def test_the_vms_verdicts_stay_as_they_were_signed(upload: Upload) -> None:
    """Evidence in a receipt is for answers: judging it again is the staff's to do."""
    host = {**GOOD, "checks": [{**GOOD["checks"][0], "verdict": "fail", "score": 0.0}, *GOOD["checks"][1:]]}
    upload.hand_in(upload.receipt({**host, "score": 59.0}))
    upload.hand_in(answers(), "answers.yml")
    assert vm_points(upload.graded()) == 59


@pytest.mark.parametrize(
    ("files", "told"),
    [
        ({"a.yml": "1a: [\n"}, "a.yml, line 2: not valid YAML"),
        ({"a.yml": "1z: x\n"}, "a.yml, line 1: there is no question '1z' (the questions are 0a"),
        (
            {"a.yml": "1a: x\n", "b.yaml": ""},
            "There are 2 files of answers, and only one can count: a.yml, b.yaml.",
        ),
        ({"a.yml": "1a: !!python/object:os.system x\n"}, "put the answer in quotes"),
    ],
)
def test_answers_that_cannot_be_read_leave_the_vms_points(
    upload: Upload, files: dict[str, str], told: str
) -> None:
    upload.hand_in(upload.receipt())
    for name, text in files.items():
        upload.hand_in(text, name)
    results = upload.graded()
    assert points(results) == 60
    assert told in results["output"]


def test_answers_that_staff_have_judged_stay(upload: Upload) -> None:
    written = {**GOOD["checks"][0], "id": "answer.1a", "question": "1a", "score": 1.0, "max_score": 1.0}
    host = {**GOOD, "checks": [*GOOD["checks"], written], "target": {**GOOD["target"], "answered": True}}
    judged = {**host, "score": 61.0, "max_score": 61.0}
    upload.hand_in(upload.receipt(judged))
    assert points(upload.graded()) == 61
    upload.hand_in(answers(), "answers.yml")
    ids = [test["extra_data"]["check"] for test in upload.graded()["tests"]]
    assert len(ids) == len(set(ids))
    # the staff had no file of this student's, or had one and judged it
    checks = [*GOOD["checks"], {**written, "answer": "sudo mount ..."}]
    upload.hand_in(upload.receipt({**judged, "checks": checks}))
    for text in (answers(), "1a: ["):
        upload.hand_in(text, "answers.yml")
        results = upload.graded()
        assert points(results) == 61
        assert "Your answers were judged by the staff." in results["output"]
        assert "not given" not in results["output"]


@pytest.mark.parametrize(
    "name", ["ANSWERS.YML", "Answers.Yaml", "answers.yml.txt", "my answers (1).yml", "in/a/folder.yml"]
)
def test_answers_are_found_under_the_names_that_machines_give_them(upload: Upload, name: str) -> None:
    upload.hand_in(upload.receipt())
    (upload.root / "submission/in/a").mkdir(parents=True)
    (upload.root / "submission/__MACOSX").mkdir()
    upload.hand_in(b"\0", "__MACOSX/._answers.yml")
    upload.hand_in(answers(), name)
    assert points(upload.graded()) > 75


def test_of_several_files_called_answers_the_topmost_counts(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    for folder in ("a", "b", "c/d"):
        (upload.root / "submission" / folder).mkdir(parents=True)
        upload.hand_in("1a: [", f"{folder}/answers.yml")
    told = "2 files of answers, and only one can count: a/answers.yml, b/answers.yml. Leave the others away."
    assert told in upload.graded()["output"]
    upload.hand_in(answers(), "answers.yml")
    assert points(upload.graded()) > 75


def test_the_file_called_answers_counts_and_what_is_called_nearly_so_is_named(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.hand_in(answers(), "answers.docx")
    assert "call answers.docx answers.yml and hand it in again" in upload.graded()["output"]
    upload.hand_in("services: {}", "docker-compose.yml")
    upload.hand_in(answers(), "answers.yml")
    assert points(upload.graded()) > 75
