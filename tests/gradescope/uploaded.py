"""A submission as Gradescope lays it out under /autograder, and what the autograder makes of it."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from exported import GOOD, HEAD, validate
from world import SECRET

from labctl.gradescope import Keys, make_keys, receipt_name, sign_receipt
from labctl.gradescope.autograder import autograde
from labctl.gradescope.settings import NAME, Settings

KIM = "kim@example.org"
GRADERS = Path(__file__).parent.parent.parent / "graders"
SECRETS = {"lab_secret": SECRET}
ROSTER = {
    KIM: {"host": "student1", "user": "kim"},
    "lee@example.org": {"host": "student2", "user": "lee"},
}
#: When the documents of the tests were graded.
GRADED = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


class Upload:
    """One submission by Kim, an hour after the VM was graded, with no deadline."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.keys: Keys = make_keys(root / "keys")
        self.settings = Settings(
            lab="lab7",
            mode="receipts",
            roster=ROSTER,
            public=base64.b64encode(self.keys.public).decode(),
            sealing=self.keys.sealing.decode(),
        )
        self.created = GRADED + timedelta(hours=1)
        self.emails = [KIM]
        self.due: datetime | None = None
        self.extended: datetime | None = None
        self.earlier: list[dict[str, Any]] = []
        for name in ("source/course/graders", "submission", "results"):
            (root / name).mkdir(parents=True)
        (root / "source/course/graders/lab7").symlink_to(GRADERS / "lab7")

    def receipt(self, host: dict[str, Any] = GOOD, user: str = "kim", **head: Any) -> str:
        return sign_receipt(self.keys, {**HEAD, **head}, host, user, SECRETS)

    def hand_in(self, text: str | bytes, name: str = receipt_name("lab7")) -> None:
        path = self.root / "submission" / name
        path.write_bytes(text.encode() if isinstance(text, str) else text)

    def before(self, ago: timedelta, results: dict[str, Any] | None = None, *, failed: bool = False) -> None:
        """An earlier submission."""
        row = {"submission_time": (self.created - ago).isoformat(), "score": 1.0, "results": results}
        self.earlier.append({**row, "autograder_error": failed})

    def metadata(self) -> dict[str, Any]:
        """As the documentation of submission_metadata.json shows it."""
        return {
            "id": 123456,
            "created_at": self.created.astimezone().isoformat(),
            "assignment": {
                "due_date": self.due.isoformat() if self.due else None,
                "group_size": None,
                "group_submission": False,
                "id": 25828,
                "course_id": 1234,
                "late_due_date": None,
                "release_date": "2026-11-01T00:00:00.000000-07:00",
                "title": "Lab 7",
                "total_points": "60.0",
            },
            "submission_method": "upload",
            "users": [{"email": email, "id": 1, "name": "Kim Doe", **self.own()} for email in self.emails],
            "previous_submissions": self.earlier,
        }

    def own(self) -> dict[str, Any]:
        """A student's own dates, where there is an extension."""
        return {"assignment": {"due_date": self.extended.isoformat()}} if self.extended else {}

    def write(self, **settings: Any) -> None:
        (self.root / "submission_metadata.json").write_text(json.dumps(self.metadata()))
        (self.root / "source" / NAME).write_text(replace(self.settings, **settings).to_json())

    def graded(self, **settings: Any) -> dict[str, Any]:
        """results.json, valid by Gradescope's documentation."""
        self.write(**settings)
        assert autograde(self.root) == 0
        results: dict[str, Any] = json.loads((self.root / "results/results.json").read_text())
        validate(results)
        return results

    def failed(self, **settings: Any) -> None:
        """There is no grade, and no results.json that could be taken for one."""
        self.write(**settings)
        assert autograde(self.root) == 1
        assert not (self.root / "results/results.json").exists()


def answers_file(answers: dict[str, str]) -> str:
    """Written answers as the template asks for them."""
    return "".join(f"{question}: {json.dumps(text)}\n" for question, text in answers.items())


def vm_points(results: dict[str, Any]) -> float:
    """The points for what the VM showed."""
    tests = [test for test in results["tests"] if not test["extra_data"]["check"].startswith("answer.")]
    return float(sum(test["score"] for test in tests))


def points(results: dict[str, Any]) -> float:
    """What Gradescope makes of it: the score on top, else the tests' sum."""
    return float(results.get("score", sum(test["score"] for test in results["tests"])))
