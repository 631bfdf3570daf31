"""What Gradescope tells the autograder of a submission, and what follows from it.

https://gradescope-autograders.readthedocs.io/en/latest/submission_metadata/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Earlier:
    """A submission before this one. ``failed``: the autograder itself did, which is not the student's doing.
    ``results`` is what results.json held then, None when it is not to be had.
    """

    time: datetime
    failed: bool
    results: Mapping[str, Any] | None


@dataclass(frozen=True)
class Submission:
    """``created`` is when it was handed in: what is counted is counted from there, so that running the
    autograder again changes nothing. ``due`` is None without a deadline. ``earlier`` is in order of time.
    """

    created: datetime
    emails: tuple[str, ...]
    due: datetime | None
    earlier: tuple[Earlier, ...]

    @property
    def late(self) -> timedelta:
        """How long after the deadline; zero when in time."""
        return max(timedelta(0), self.created - self.due) if self.due else timedelta(0)

    def attempts(self, within: timedelta) -> int:
        """How many submissions were graded in the time before this one."""
        return sum(
            1 for one in self.earlier if not one.failed and self.created - within < one.time <= self.created
        )

    @property
    def last_results(self) -> Mapping[str, Any] | None:
        """What the last submission that was graded came to."""
        return next((one.results for one in reversed(self.earlier) if not one.failed and one.results), None)


def read_submission(path: Path) -> Submission:
    """The submission that ``submission_metadata.json`` describes. Raises ``ValueError``."""
    try:
        data = json.loads(path.read_bytes())
        assignment = data.get("assignment") or {}
        earlier = [_earlier(one) for one in data.get("previous_submissions") or []]
        return Submission(
            created=_moment(data["created_at"]),
            emails=tuple(str(user["email"]).strip().lower() for user in data["users"]),
            due=_moment(assignment["due_date"]) if assignment.get("due_date") else None,
            earlier=tuple(sorted(earlier, key=lambda one: one.time)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ValueError(f"{path} cannot be read: {type(err).__name__}: {err}") from err


def _earlier(row: Mapping[str, Any]) -> Earlier:
    results = row.get("results")
    return Earlier(
        time=_moment(row["submission_time"]),
        failed=bool(row.get("autograder_error")),
        results=results if isinstance(results, dict) and results else None,
    )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment
