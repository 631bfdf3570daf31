"""What Gradescope tells the autograder of a submission, and what follows from it.

https://gradescope-autograders.readthedocs.io/en/latest/submission_metadata/
"""

from __future__ import annotations

import json
import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

#: In the results' extra_data: when the student's submissions were graded, this one included.
GRADED = "graded"
#: And when the receipt was signed on which what they came to rests.
SIGNED = "signed"


@dataclass(frozen=True)
class Earlier:
    """A submission before this one. ``failed``: the autograder itself did, which is not the student's doing.
    ``results`` is what results.json held then, None when it is not to be had: Gradescope gives the newest
    submission's alone. ``score`` is what Gradescope counts for it, None when it does not say.
    """

    time: datetime
    failed: bool
    results: Mapping[str, Any] | None
    score: float | None = None

    @property
    def empty(self) -> bool:
        """Whether it has neither points nor tests, as far as is known: one that was refused has none."""
        if self.results:
            return not self.results.get("score") and not self.results.get("tests")
        return self.score == 0


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
        # whole seconds: a deadline is told in minutes, and a moment after it begins no day
        return max(timedelta(0), self.created.replace(microsecond=0) - self.due) if self.due else timedelta(0)

    @property
    def before(self) -> tuple[Earlier, ...]:
        """Those before this one in which the autograder did not fail. One that is graded again is also told
        of later ones.
        """
        return tuple(one for one in self.earlier if not one.failed and one.time <= self.created)

    @property
    def graded(self) -> tuple[datetime, ...]:
        """When earlier submissions were graded, in order. One that was refused, or kept what another came to,
        was not. The newest that says when is believed; of those after it each counts that may have points.
        """
        before = self.before
        known: list[datetime] = []
        told = 0
        for at, one in enumerate(before):
            extra = (one.results or {}).get("extra_data")
            times = extra.get(GRADED) if isinstance(extra, dict) else None
            if isinstance(times, list):
                known, told = [_moment(str(time)) for time in times], at + 1
        return tuple(sorted([*known, *(one.time for one in before[told:] if not one.empty)]))

    @property
    def signed(self) -> datetime | None:
        """When the receipt was signed on which the last grade rests, as the newest says that says it."""
        extras = (one.results.get("extra_data") for one in reversed(self.before) if one.results)
        told = (extra[SIGNED] for extra in extras if isinstance(extra, dict) and SIGNED in extra)
        return next((_moment(str(time)) for time in told), None)

    def attempts(self, within: timedelta) -> tuple[datetime, ...]:
        """When submissions were graded in the time before this one."""
        return tuple(one for one in self.graded if self.created - within < one <= self.created)

    @property
    def last(self) -> Earlier | None:
        """The last submission that came to something; one that was refused did not, whatever it says."""
        graded = self.graded
        known = (one for one in reversed(self.before) if one.results or one.score is not None)
        return next((one for one in known if not one.empty or one.time in graded), None)


def read_submission(path: Path) -> Submission:
    """The submission that ``submission_metadata.json`` describes. Raises ``ValueError``."""
    try:
        data = json.loads(path.read_bytes())
        users = [user for user in data["users"] if isinstance(user, dict)]
        earlier = [one for row in data.get("previous_submissions") or [] for one in _earlier(row)]
        return Submission(
            created=_moment(data["created_at"]),
            emails=tuple(address(str(user["email"])) for user in users if user.get("email")),
            due=_due(data, users),
            earlier=tuple(sorted(earlier, key=lambda one: one.time)),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as err:
        raise ValueError(f"{path} cannot be read: {type(err).__name__}: {err}") from err


def address(email: str) -> str:
    """An address in the form that compares. No other letter is an ASCII one there: a Kelvin sign is no k."""
    small = "".join(
        one if not one.isascii() and one.lower().isascii() else one.lower() for one in email.strip()
    )
    return unicodedata.normalize("NFC", small)


def _due(data: Mapping[str, Any], users: Sequence[Mapping[str, Any]]) -> datetime | None:
    """The deadline: with an extension the student's own, and of a group the latest."""
    dates = [_date_of(user) or _date_of(data) for user in users] or [_date_of(data)]
    return max((_moment(one) for one in dates if one), default=None)


def _date_of(one: Mapping[str, Any]) -> str:
    assignment = one.get("assignment")
    return str(assignment.get("due_date") or "") if isinstance(assignment, dict) else ""


def _earlier(row: Any) -> Iterator[Earlier]:
    """The submission of a row; none when its time is not told."""
    with suppress(ValueError, KeyError, TypeError, AttributeError):
        time, results, score = _moment(row["submission_time"]), row.get("results"), None
        with suppress(ValueError, TypeError):
            score = float(row.get("score"))
        yield Earlier(
            time=time,
            failed=bool(row.get("autograder_error")),
            results=results if isinstance(results, dict) and results else None,
            score=score if score is not None and math.isfinite(score) else None,
        )


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} names no time zone")
    return moment
