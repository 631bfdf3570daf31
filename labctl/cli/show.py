"""labctl show: a kept run's scorecards, or what was seen of a VM."""

from __future__ import annotations

import json
import sys

import click

from labctl.cli.options import database_option, json_option
from labctl.cli.results import check_vm_of, kept_of, results
from labctl.errors import RequestError


@click.command()
@click.argument("run")
@click.argument("vm", required=False)
@click.option(
    "--evidence",
    "seen",
    metavar="ID",
    help="What was asked and what came back; ID as in --json, or a check's id, or all.",
)
@database_option
@json_option
def show(run: str, vm: str | None, seen: str | None, database: str | None, as_json: bool) -> None:
    """Show the scorecards of a run, or of one of its VMs.

    RUN is a run's id or the beginning of it, or: last.
    """
    from labctl.grading.statistics import duplicates
    from labctl.report.grade_console import render_scorecard
    from labctl.report.runs_console import render_evidence

    store = results(database)
    name = store.find(run)
    about = store.about(name)
    if vm is not None:
        check_vm_of(about, vm)
    attempts = kept_of(store, name, vm)
    if not attempts and (vm is not None or seen is not None or not as_json):
        raise RequestError(
            f"in the run {name} there is no result of {vm or 'any VM'} yet",
            hint=f"labctl grade --resume --run {name} grades those that have none",
        )
    if seen is not None:
        if len(attempts) != 1:
            raise RequestError("--evidence is about one VM", hint=f"labctl show {run} VM --evidence {seen}")
        found = _chosen(store.evidence(attempts[0]), attempts[0].document, seen)
        document = {"schema": 1, "run": name, "host": attempts[0].host, "observations": found}
        click.echo(json.dumps(document, indent=2) if as_json else render_evidence(document), nl=as_json)
        return
    hosts = [{**one.document, "attempt": one.attempt, "kind": one.kind} for one in attempts]
    waiting = [] if vm is not None else list(store.waiting(name))
    more = {"not_graded_yet": waiting, "duplicates": duplicates(hosts), "hosts": hosts}
    document = {"schema": 1, **about, **more}
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        click.echo(render_scorecard(document, tty=sys.stdout.isatty()), nl=False, color=True)


def _chosen(evidence: object, document: object, wanted: str) -> dict[str, object]:
    """The observations that ``wanted`` names, by id."""
    from labctl.documents import did_you_mean

    assert isinstance(document, dict)
    if not isinstance(evidence, dict):
        raise RequestError(
            "nothing was seen of this VM: it could not be reached",
            hint="labctl show RUN VM says what was wrong",
        )
    observations = evidence["observations"]
    if wanted == "all":
        return dict(observations)
    if wanted in observations:
        return {wanted: observations[wanted]}
    for check in document["checks"]:
        if check["id"] == wanted:
            return {key: observations[key] for key in check["evidence"] if key in observations}
    ids = [*observations, *(check["id"] for check in document["checks"])]
    raise RequestError(
        f"there is no observation and no check {wanted!r}",
        hint=did_you_mean(wanted, ids, "--evidence all shows every observation, with its id"),
    )
