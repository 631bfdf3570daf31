"""Written answers in Gradescope's container: judged by what the receipt's evidence says of the VM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from labctl.gradescope.handed_in import files_in
from labctl.gradescope.receipts import Receipt
from labctl.grading import ANSWER, Evidence, Lab, regrade
from labctl.grading.answers import Answers, AnswersError, add_answers, read_answers

#: Windows hides .txt, and adds it.
_SUFFIXES = (".yml", ".yaml", ".yml.txt", ".yaml.txt")
_NAME = "answers.yml"
_NONE = Answers("", {})


def has_answers(lab: Lab) -> bool:
    """Whether anything is written down for the lab."""
    return any(question.answer for question in lab.rubric.questions)


def find_answers(directory: Path, lab: Lab) -> tuple[Path | None, Answers, str]:
    """The file of answers that was handed in, what is in it, and what the student is to be told of it.

    A file that is missing or cannot be read counts as no answers.
    """
    if not has_answers(lab):
        return None, _NONE, ""
    every = [
        path
        for path in files_in(directory)
        # what a Mac puts into archives
        if not any(part.startswith(".") or part == "__MACOSX" for part in path.relative_to(directory).parts)
    ]
    files = [path for path in every if path.name.lower().endswith(_SUFFIXES)]
    named = [path for path in files if path.name.lower() == _NAME]
    files = [path for path in named if len(path.parts) == len(named[0].parts)] or files
    if not files:
        near = next((path.name for path in every if "answer" in path.name.lower()), "")
        said = f"call {near} {_NAME} and hand it in again" if near else f"hand in {_NAME} with the receipt"
        return None, _NONE, f"There is no file of answers (.yml) among what you handed in: {said}."
    if len(files) > 1:
        names = ", ".join(path.relative_to(directory).as_posix() for path in files[:5])
        told = f"There are {len(files)} files of answers, and only one can count: {names}."
        return None, _NONE, f"{told} {'Leave the others away' if named else f'Call it {_NAME}'}."
    try:
        return files[0], read_answers(files[0], lab.rubric), ""
    except AnswersError as err:
        line = f", line {err.place.line}" if err.place and err.place.line else ""
        hint = f" ({err.hint})" if err.hint else ""
        return None, _NONE, f"Your answers count as not given: {files[0].name}{line}: {err.message}{hint}."


def judged_by_staff(receipt: Receipt) -> bool:
    """Whether the staff's run had this student's answers."""
    return any(one["id"].startswith(ANSWER) and one.get("answer") for one in receipt.host["checks"])


def with_answers(receipt: Receipt, lab: Lab, answers: Answers) -> tuple[dict[str, Any], list[str]]:
    """The VM's document with the answers' checks, and the questions that cannot be judged here.

    The VM's own verdicts stay as they were signed, and so do answers that staff have judged. An answer that
    has to be tried on the VM is left out, with its points: it is for staff.
    """
    host = receipt.host
    if judged_by_staff(receipt) or (host["target"].get("answered") and not answers.texts):
        return dict(host), []
    written = Evidence()
    add_answers(written, answers, lab.rubric, receipt.secrets)
    seen = host["evidence"]
    together = {**seen["observations"], **written.to_json()["observations"]}
    target = {**host["target"], "answered": True, "secrets": tuple(receipt.secrets)}
    document = regrade(lab, {**host, "target": target}, {**seen, "observations": together})
    judged = [check for check in document["checks"] if check["id"].startswith(ANSWER)]
    known = [check for check in judged if check["verdict"] != "error"]
    checks = [*(check for check in host["checks"] if not check["id"].startswith(ANSWER)), *known]
    return (
        {
            **host,
            "checks": checks,
            "score": _sum(checks, "score"),
            "max_score": _sum(checks, "max_score"),
            "left_out": document["left_out"],
        },
        [check["question"] for check in judged if check["verdict"] == "error"],
    )


def _sum(checks: list[Any], key: str) -> float:
    return round(float(sum(check[key] for check in checks)), 2)
