"""labctl regrade: a kept run by today's checks, without its VMs."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import click

from labctl.cli.course import find_course
from labctl.cli.options import course_option, database_option, json_option
from labctl.cli.results import results


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
    from labctl.grading import differences, lab_document, load_lab
    from labctl.grading import regrade as judge_again
    from labctl.report.runs_console import render_changes

    store = results(database)
    name = store.find(run)
    about = store.about(name)
    lab = load_lab(find_course(course).graders / about["lab"])
    if not diff:
        store.describe(name, lab_document(lab))
    changed: list[dict[str, Any]] = []
    untouched = []
    for attempt in list(store.judgements(name)):
        seen = store.evidence(attempt)
        if seen is None:
            untouched.append(attempt.host)
            continue
        with contextlib.redirect_stdout(sys.stderr):  # what a check prints is no part of the report
            document = judge_again(lab, attempt.document, seen)
        rows = differences(attempt.document, document)
        changed.append(
            {
                "host": attempt.host,
                "before": attempt.document["score"],
                "after": document["score"],
                "max_score": document["max_score"],
                "checks": rows,
                "not_recorded": document["not_recorded"],
            }
        )
        if not diff:
            store.add_again(attempt, document)
    result = {"schema": 1, "run": name, "kept": not diff, "hosts": changed, "without_evidence": untouched}
    click.echo(json.dumps(result, indent=2) if as_json else render_changes(result), nl=as_json)
    lost = [one["host"] for one in changed if one["after"] is None and one["before"] is not None]
    if lost:
        named = ", ".join(sorted(set(lost))[:5]) + (" and others" if len(set(lost)) > 5 else "")
        click.echo(
            f"no grade any more: {named}; labctl grade {lost[0]} --run {name} looks at it again", err=True
        )
    return 3 if lost else 0
