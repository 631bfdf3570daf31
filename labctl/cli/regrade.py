"""labctl regrade: a kept run by today's checks, without its VMs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.course import find_course
from labctl.cli.options import course_option, database_option, json_option
from labctl.cli.results import lab_of, results
from labctl.errors import RequestError
from labctl.report.text import plain

if TYPE_CHECKING:
    from labctl.store import Attempt, Unreadable


@click.command()
@click.argument("run")
@course_option
@database_option
@click.option("--diff", is_flag=True, help="Only say what would change; keep nothing.")
@json_option
def regrade(run: str, course: Path | None, database: str | None, diff: bool, as_json: bool) -> int:
    """Judge a run again by today's checks, from what was seen of its VMs.

    No VM is asked. What comes of it is kept as a new attempt; the earlier ones stay.
    """
    from labctl.grading import LaterEvidence, differences, lab_document, load_lab
    from labctl.grading import regrade as judge_again
    from labctl.report.runs_console import render_changes
    from labctl.store import Unreadable

    store = results(database)
    name = store.find(run)
    about = store.about(name)
    lab = load_lab(find_course(course).graders / lab_of(about))
    unreadable: list[dict[str, Any]] = []
    changed: list[dict[str, Any]] = []
    untouched = []
    judged = []

    def pass_over(attempt: Attempt | Unreadable, err: RequestError) -> None:
        unreadable.append({"host": attempt.host, "attempt": attempt.attempt, "why": err.message})

    counted = store.counting(name)
    # all of a class is judged before anything is kept: two of it are never graded by different points unsaid
    for attempt in list(store.judgements(name, lambda err: pass_over(err, err))):
        try:
            seen = store.evidence(attempt)
            if seen is None:
                untouched.append(attempt.host)
                continue
            with contextlib.redirect_stdout(sys.stderr):  # what a check prints is no part of the report
                document = judge_again(lab, attempt.document, seen)
        except (Unreadable, LaterEvidence) as err:
            pass_over(attempt, err)
            continue
        judged.append((attempt, document))
        changed.append(
            {
                "host": attempt.host,
                "before": attempt.document["score"],
                "after": document["score"],
                "max_score": document["max_score"],
                "checks": differences(attempt.document, document),
                "not_recorded": document["not_recorded"],
            }
        )
    if not (changed or untouched or unreadable):
        raise RequestError(
            f"in the run {name} there is no result of any VM yet, so there is nothing to judge again",
            hint=f"labctl grade --resume --run {name} grades those that have none",
        )
    if not diff:
        store.describe(name, lab_document(lab))
        store.add_again(judged)
    result = {
        "schema": 1,
        "run": name,
        "kept": bool(judged) and not diff,
        "hosts": changed,
        "without_evidence": untouched,
        "unreadable": unreadable,
    }
    click.echo(json.dumps(result, indent=2) if as_json else render_changes(result), nl=as_json)
    lost = [
        attempt.host
        for attempt, document in judged
        if attempt.attempt == counted.get(attempt.host)
        and document["score"] is None
        and attempt.document["score"] is not None
    ]
    # an attempt that is no grade never counts against one that is
    others = {one["host"] for one in [*changed, *unreadable] if one.get("after", 0) is not None}
    _tell(name, "no grade any more", [host for host in lost if host not in others])
    _tell(
        name,
        "another attempt counts now, as what was seen cannot be judged any more",
        [host for host in lost if host in others],
    )
    counting = store.counting(name)
    as_before = [one["host"] for one in unreadable if counting[one["host"]] == one["attempt"]]
    _tell(name, "still graded by the points of before", as_before)
    if as_before and about["keep"] != "last":
        click.echo(
            f"  the {about['keep']} attempt counts in this run; --keep last lets the new one count", err=True
        )
    return 3 if lost or as_before else 0


def _tell(run: str, what: str, hosts: Sequence[str]) -> None:
    if hosts:
        click.echo(
            f"{what}: {_named(hosts)}; labctl grade {hosts[0]} --run {run} looks at it again", err=True
        )


def _named(hosts: Sequence[str]) -> str:
    names = sorted(set(hosts))
    return plain(", ".join(names[:5]), multiline=False) + (" and others" if len(names) > 5 else "")
