"""Deadlines, extensions and the number of attempts, as Gradescope tells them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from exported import READ_ONLY
from uploaded import GRADED, KIM, Upload, points

from labctl.gradescope import live


def test_lateness_is_told_and_costs_what_staff_decided(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.due = upload.created
    assert "after the deadline" not in upload.graded()["output"]
    upload.due = upload.created - timedelta(hours=30)
    told = upload.graded()
    assert (points(told), told["extra_data"]["late_seconds"]) == (60, 108_000)
    assert "Handed in 30 hours after the deadline." in told["output"]
    assert points(upload.graded(late_percent=10)) == 48
    upload.due = upload.created - timedelta(days=20)
    assert points(upload.graded(late_percent=10)) == 0


def test_a_moment_after_the_deadline_begins_no_day(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.due = upload.created
    upload.created += timedelta(microseconds=400_000)
    assert points(upload.graded(late_percent=10)) == 60
    for late, told in ((59, "59 seconds"), (1, "1 second"), (90, "90 seconds"), (150, "2 minutes")):
        upload.created = upload.due + timedelta(seconds=late)
        results = upload.graded(late_percent=10)
        assert points(results) == 54
        assert f"Handed in {told} after the deadline." in results["output"]
    upload.created = upload.due + timedelta(days=1, microseconds=1)
    assert points(upload.graded(late_percent=10)) == 54


def test_an_extension_is_the_students_own_deadline(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.due = upload.created - timedelta(hours=1)
    assert points(upload.graded(late_percent=10)) == 54
    upload.extended = upload.created + timedelta(days=3)
    assert points(upload.graded(late_percent=10)) == 60
    upload.extended = upload.created - timedelta(minutes=30)
    assert "Handed in 30 minutes after" in upload.graded()["output"]


def test_the_deadline_of_a_group_is_the_latest_of_its_students(upload: Upload) -> None:
    """Who has none of their own has the assignment's."""
    upload.hand_in(upload.receipt())
    upload.due = upload.created + timedelta(hours=3)
    upload.extended = upload.created - timedelta(hours=1)
    upload.emails = [KIM, "lee@example.org"]
    both = upload.metadata()
    assert points(upload.graded(late_percent=10)) == 54
    del both["users"][1]["assignment"]
    upload.metadata = lambda: both  # type: ignore[method-assign]
    assert points(upload.graded(late_percent=10)) == 60


def test_only_what_was_graded_is_an_attempt(upload: Upload) -> None:
    """A try that was blocked does not prolong the wait; Gradescope gives the newest results alone."""
    upload.hand_in(upload.receipt())
    results: dict[str, Any] | None = None
    for ago in (26, 25, 20, 19):
        upload.earlier.clear()
        first, upload.created = upload.created, GRADED + timedelta(hours=30 - ago)
        if results is not None:
            upload.before(upload.created - first, results)
        results = upload.graded(attempts=2)
    assert results is not None
    assert points(results) == 60
    told = results["output"]
    assert told.count("You have used your 2 submissions") == 1
    assert "graded from 22 November 2026, 12:00 UTC on" in told
    upload.before(timedelta(minutes=1), results)
    upload.created = GRADED + timedelta(hours=28, seconds=1)
    assert "You have used" not in upload.graded(attempts=2)["output"]


def test_what_was_refused_is_no_attempt_also_when_its_results_are_missing(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    for hours in (5, 4):
        upload.before(timedelta(hours=hours))
        upload.earlier[-1]["score"] = 0.0
    upload.before(timedelta(hours=1), failed=True)
    assert points(upload.graded(attempts=2)) == 60
    nothing = {"score": 0.0, "tests": [], "output": "no receipt", "extra_data": {"graded": []}}
    for row in upload.earlier[:2]:
        row["results"] = nothing
    # the third is still graded
    upload.earlier[-1] |= {"autograder_error": False, "score": None}
    assert points(upload.graded(attempts=2)) == 60


def test_what_stays_is_never_what_a_refusal_came_to(upload: Upload) -> None:
    times = [(upload.created - timedelta(hours=hours)).isoformat() for hours in (5, 4)]
    upload.before(timedelta(hours=5))
    upload.before(timedelta(hours=4))
    nothing = {"score": 0.0, "tests": [], "output": "no receipt", "extra_data": {"graded": times}}
    upload.before(timedelta(hours=3), nothing)
    upload.earlier[1]["score"] = "41.5"
    upload.hand_in(upload.receipt())
    assert points(upload.graded(attempts=2)) == 41.5
    # graded, and really without a point
    upload.earlier[1]["score"] = 0.0
    results = upload.graded(attempts=2)
    assert (points(results), "no receipt" in results["output"]) == (0, False)


def test_a_submission_graded_again_keeps_nothing_of_a_later_one(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.before(timedelta(hours=1), {"tests": [{"score": 7.0, "name": "before"}]})
    upload.before(timedelta(hours=-1), {"tests": [{"score": 9.0, "name": "after"}]})
    assert points(upload.graded(attempts=1)) == 7


def test_a_vm_that_is_down_keeps_a_grade_and_no_refusal(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise live.NotJudged("unreachable")

    monkeypatch.setattr(live, "grade", down)
    nothing = {"score": 0.0, "tests": [], "output": "another student's", "extra_data": {"graded": []}}
    upload.before(timedelta(hours=1), nothing)
    upload.failed(mode="live")
    upload.before(timedelta(hours=2), {"tests": [{"score": 7.0, "name": "before"}], "output": "7 points"})
    assert points(upload.graded(mode="live")) == 7


def test_when_only_the_score_of_the_last_is_known_it_stays(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.before(timedelta(hours=5))
    upload.before(timedelta(hours=4))
    upload.earlier[-1]["score"] = "41.5"
    upload.before(timedelta(hours=1), failed=True)
    results = upload.graded(attempts=2)
    assert points(results) == 41.5
    assert "used your 2 submissions" in results["output"]
    for row in upload.earlier:
        del row["score"]
    (upload.root / "results/results.json").unlink()
    upload.failed(attempts=2)


def test_what_is_odd_about_an_earlier_submission_stops_nobody(upload: Upload) -> None:
    upload.hand_in(upload.receipt())
    upload.earlier += [{"score": 1}, {"submission_time": None}, "x", {"submission_time": "yesterday"}]
    upload.emails = [KIM, ""]
    assert points(upload.graded(attempts=1)) == 60
    upload.before(timedelta(hours=1), {"score": 3, "tests": None})
    assert points(upload.graded(attempts=1)) == 3


def test_attempts_are_counted_from_the_submission_and_errors_do_not_count(upload: Upload) -> None:
    last = {"tests": [{"score": 7.0, "name": "before"}], "output": "7 points"}
    upload.hand_in(upload.receipt())
    upload.before(timedelta(hours=30), last)
    upload.before(timedelta(hours=5), failed=True)
    upload.before(timedelta(hours=4), last)
    assert points(upload.graded(attempts=2)) == 60
    upload.before(timedelta(hours=3), failed=True)
    upload.before(timedelta(hours=2), last)
    results = upload.graded(attempts=2)
    assert points(results) == 7
    assert "used your 2 submissions in 24 hours" in results["output"]
    assert results["output"].endswith("7 points")
    assert points(upload.graded(attempts=2, attempt_hours=3)) == 60
    assert points(upload.graded(attempts=0)) == 60


def test_what_stays_rests_on_no_receipt_that_counts_no_longer(upload: Upload) -> None:
    """With its attempts used up an older receipt would otherwise outlive --not-before for as long as those
    are counted.
    """
    old = upload.receipt()
    upload.hand_in(old)
    results = upload.graded(attempts=1)
    since = datetime.now(UTC).isoformat()
    upload.before(timedelta(minutes=20), results)
    upload.before(timedelta(minutes=10), upload.graded(attempts=1))
    assert points(upload.graded(attempts=1)) == 60
    refusal = upload.graded(attempts=1, not_before=since)
    assert (points(refusal), "staff have made newer ones" in refusal["output"]) == (0, True)
    # of those before the newest no results are to be had
    for row in upload.earlier:
        row |= {"results": None, "score": 60.0}
    upload.before(timedelta(minutes=5), refusal)
    assert points(upload.graded(attempts=1, not_before=since)) == 0
    upload.hand_in(upload.receipt(READ_ONLY | {"host": "student1"}))
    results = upload.graded(attempts=1, not_before=since)
    assert points(results) == 56
    # and this one stays
    upload.before(timedelta(minutes=1), results)
    upload.hand_in(old)
    kept = upload.graded(attempts=1, not_before=since)
    assert (points(kept), "You have used your 1 submissions" in kept["output"]) == (56, True)
