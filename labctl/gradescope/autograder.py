"""What runs in Gradescope's container: a submission in, results.json out.

What is the student's to mend becomes a results.json with no points and a message. What is not (a VM that
cannot be judged, a broken build) leaves no results.json: Gradescope then says that the autograder failed,
which is true, and no score is made up.
"""

from __future__ import annotations

import base64
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

from labctl.errors import CourseError
from labctl.files import write_whole
from labctl.gradescope import live
from labctl.gradescope.answers import find_answers, has_answers, judged_by_staff, with_answers
from labctl.gradescope.handed_in import files_in
from labctl.gradescope.receipts import (
    MAX_BYTES,
    Receipt,
    ReceiptError,
    is_receipt,
    read_receipt,
    receipt_name,
)
from labctl.gradescope.settings import NAME, Settings
from labctl.gradescope.submission import GRADED, SIGNED, Submission, read_submission
from labctl.grading import Lab, load_lab
from labctl.report.gradescope import gradescope_results, results_text
from labctl.report.text import plain, points

#: In the extra_data of results that were kept: what they said by themselves.
SAID = "said"
#: Of so many submissions it is known when they were graded.
_MOST_TIMES = 1000
#: How far the clocks of the staff's machine and of Gradescope may differ.
_SKEW = timedelta(minutes=10)
#: Of a submission so many files are read.
_MOST_READ = 200


class NoGrade(Exception):
    """There is no grade, and the student can do nothing about it."""


def autograde(root: Path) -> int:
    """Grade the submission under ``root`` (``/autograder``); the process's exit status."""
    began = time.monotonic()
    try:
        settings = Settings.from_json((root / "source" / NAME).read_text(encoding="utf-8"))
        submission = read_submission(root / "submission_metadata.json")
        results = _results(settings, submission, root)
        results["execution_time"] = round(time.monotonic() - began, 2)
        (root / "results").mkdir(exist_ok=True)
        write_whole(root / "results" / "results.json", results_text(results), mode=0o644)
    except (NoGrade, CourseError, OSError, ValueError) as err:
        print(plain(f"no grade: {err}"), file=sys.stderr)
        return 1
    except (AttributeError, LookupError, RecursionError, TypeError) as err:
        print(plain(f"no grade: {type(err).__name__}: {err}"), file=sys.stderr)
        return 1
    return 0


def _results(settings: Settings, submission: Submission, root: Path) -> dict[str, Any]:
    within = timedelta(hours=settings.attempt_hours)
    spent = submission.attempts(within)
    # what rests on a receipt that counts no longer does not stay
    if len(spent) >= settings.attempts > 0 and not _replaced(submission.signed, settings):
        again = spent[-settings.attempts] + within
        return _kept(
            submission,
            f"You have used your {settings.attempts} submissions in {settings.attempt_hours:g} hours. "
            "This one was not graded; what the last one came to stays. "
            f"The next one is graded from {_day(again)} on.",
        )
    lab = load_lab(root / "source" / live.COURSE / "graders" / settings.lab)
    file, answers, told = find_answers(root / "submission", lab)
    signed = None
    try:
        students = _students(settings, submission)
        if settings.mode == "live":
            # no file is an empty one: what is not answered has no points
            file = (file or Path(os.devnull)) if has_answers(lab) else None
            run = live.grade(root, students[0]["host"], file)
        else:
            receipt = _receipt(settings, lab, submission, students, root / "submission")
            host, unjudged = with_answers(receipt, lab, answers)
            signed = receipt.signed
            run = {**receipt.run, "hosts": [host]}
            if judged_by_staff(receipt):
                told = "Your answers were judged by the staff."
            told += f"\nReceipt of {_day(receipt.graded)}."
            if unjudged:
                told += f"\nFor staff to read, and not in these points: {', '.join(unjudged)}."
    except ReceiptError as err:
        return _refused(f"{err.message[:1].upper()}{err.message[1:]}.", err.hint, submission)
    except live.NotJudged as err:
        try:
            return _kept(
                submission, "Your VM could not be judged now. What the last submission came to stays."
            )
        except NoGrade:
            raise NoGrade(str(err)) from err
    (host,) = run["hosts"]
    results = gradescope_results(run, host)
    results["output"] += f"\n{plain(told.strip())}".rstrip()
    results["extra_data"] |= _noted((*submission.graded, submission.created), signed)
    return _with_lateness(results, settings, submission)


def _students(settings: Settings, submission: Submission) -> list[Mapping[str, str]]:
    """The students of the submission that the class list knows. Raises :class:`ReceiptError` for none."""
    found = [settings.roster[email] for email in submission.emails if email in settings.roster]
    if not found:
        raise ReceiptError(
            f"the class list has nobody with the address {', '.join(submission.emails) or '(none)'}",
            hint="tell the staff: it is for them to mend",
        )
    return found


def _receipt(
    settings: Settings,
    lab: Lab,
    submission: Submission,
    students: list[Mapping[str, str]],
    directory: Path,
) -> Receipt:
    """The newest of the receipts handed in that is good for this submission. Raises :class:`ReceiptError`
    for the one that comes nearest to it.
    """
    public, sealing = base64.b64decode(settings.public), settings.sealing.encode()
    good: list[Receipt] = []
    problems: list[ReceiptError] = []
    for name, data in _files(directory, receipt_name(settings.lab)):
        if name != receipt_name(settings.lab) and not is_receipt(data):
            continue
        try:
            receipt = read_receipt(data, public, sealing)
        except ReceiptError as err:
            problems.append(err)
            continue
        try:
            _check(receipt, settings, submission, students)
            _check_points(receipt, lab)
            good.append(receipt)
        except ReceiptError as err:
            problems.insert(0, err)  # what is the matter with a true one is worth more
    if good:
        # under --keep best or first, what was graded last need not be what staff delivered last
        return max(good, key=lambda one: (one.signed, one.graded))
    raise next(
        iter(problems),
        ReceiptError(
            f"there is no receipt among the files: hand in {receipt_name(settings.lab)}",
            hint="it lies in your home on your VM once the staff have graded it; copy it from there with scp",
        ),
    )


def _check(
    receipt: Receipt, settings: Settings, submission: Submission, students: list[Mapping[str, str]]
) -> None:
    """Whether it is of this lab, of this student and of this time. Raises :class:`ReceiptError`."""
    if receipt.run["lab"] != settings.lab:
        raise ReceiptError(
            f"the receipt is for {receipt.run['lab']}, and this is {settings.lab}",
            hint=f"hand in {receipt_name(settings.lab)}",
        )
    if not any((one["user"], one["host"]) == (receipt.user, receipt.host["host"]) for one in students):
        raise ReceiptError(
            "the receipt is another student's", hint="hand in the one that lies in your own home on your VM"
        )
    age = submission.created - receipt.graded
    if age > timedelta(days=settings.max_age):
        oldest = submission.created - timedelta(days=settings.max_age)
        raise ReceiptError(
            f"the receipt is of {_day(receipt.graded)}, and the oldest that counts is of {_day(oldest)}",
            hint="hand in the newest one, or ask the staff to grade your VM again",
        )
    if age < -_SKEW:
        raise ReceiptError(
            "the receipt was made after it was handed in", hint="tell the staff: a clock is wrong"
        )
    if _replaced(receipt.signed, settings):
        raise ReceiptError(
            f"the receipt was signed on {_day(receipt.signed)}, and the staff have made newer ones since",
            hint="hand in the one that lies in your home on your VM now, or ask the staff for it",
        )


def _replaced(signed: datetime | None, settings: Settings) -> bool:
    """Whether a receipt that was signed then counts no longer."""
    since = datetime.fromisoformat(settings.not_before) if settings.not_before else None
    return signed is not None and since is not None and signed < since


def _check_points(receipt: Receipt, lab: Lab) -> None:
    """Whether it was made by this lab's points. Raises :class:`ReceiptError`."""
    others = lab.other_points(receipt.host)
    if others:
        raise ReceiptError(
            f"the receipt was made by other points than this autograder's {lab.name} ({others[0]})",
            hint="tell the staff: they deliver a new receipt, or build the autograder again",
        )


def _files(directory: Path, first: str) -> Iterator[tuple[str, bytes]]:
    """The files handed in with their names, each up to the size of a receipt: ``first``, others called like
    a receipt, and other JSON before the rest.
    """

    def rank(path: Path) -> tuple[bool, bool, bool]:
        name = path.name.lower()
        return path.name != first, "receipt" not in name, not name.endswith(".json")

    for path in sorted(files_in(directory), key=rank)[:_MOST_READ]:
        if path.lstat().st_size <= MAX_BYTES:
            yield path.name, path.read_bytes()


# -- what is told --------------------------------------------------------------------------------------


def _refused(message: str, hint: str, submission: Submission) -> dict[str, Any]:
    told = f"{message}\n{hint[:1].upper()}{hint[1:]}." if hint else message
    return {
        "score": 0.0,
        "output": plain(told),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": _noted(submission.graded, submission.signed),
        "tests": [],
    }


def _kept(submission: Submission, message: str) -> dict[str, Any]:
    """What the last submission came to once more, with ``message`` before what it said. Raises
    :class:`NoGrade` when that is not known.
    """
    last = submission.last
    if last is None:
        raise NoGrade("what the last submission came to is not known")
    extra = (last.results or {}).get("extra_data")
    kept = {**extra} if isinstance(extra, dict) else {}
    # what a results.json that was kept itself said at first
    said = kept.setdefault(SAID, (last.results or {}).get("output") or "")
    scores: dict[str, Any] = {} if last.results else {"score": last.score, "tests": []}
    return {
        **(last.results or {}),
        **scores,
        "output": f"{message}\n\n{said}".strip(),
        "output_format": "text",
        "extra_data": {**kept, **_noted(submission.graded, submission.signed)},
    }


def _noted(graded: Sequence[datetime], signed: datetime | None) -> dict[str, Any]:
    """What later submissions are to know of this one and of those before it."""
    times = [one.isoformat() for one in graded[-_MOST_TIMES:]]
    return {GRADED: times, **({SIGNED: signed.isoformat()} if signed else {})}


def _day(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%d %B %Y, %H:%M} UTC"


def _with_lateness(results: dict[str, Any], settings: Settings, submission: Submission) -> dict[str, Any]:
    late = submission.late
    results["extra_data"]["late_seconds"] = round(late.total_seconds())
    if not late:
        return results
    days = ceil(late / timedelta(days=1))
    results["output"] += f"\nHanded in {_told(late)} after the deadline."
    if settings.late_percent:
        share = max(0.0, 1 - settings.late_percent / 100 * days)
        full = sum(test["score"] for test in results["tests"])
        results["score"] = round(full * share, 2)
        results["output"] += (
            f" {settings.late_percent:g} % of the points are taken off for each day begun: "
            f"{points(results['score'])} of {points(full)} are left."
        )
    return results


def _told(late: timedelta) -> str:
    seconds = round(late.total_seconds())
    size, name = next(
        (one for one in ((3600, "hour"), (60, "minute")) if seconds >= 2 * one[0]), (1, "second")
    )
    number = seconds // size
    return f"{number} {name}" if number == 1 else f"{number} {name}s"
