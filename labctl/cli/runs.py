"""labctl runs: the grading runs that were kept."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from labctl.cli.options import database_option, json_option
from labctl.cli.results import results


@click.command()
@database_option
@json_option
def runs(database: str | None, as_json: bool) -> None:
    """List the grading runs that were kept, the newest first."""
    from labctl.report.runs_console import render_runs

    rows = [asdict(row) for row in results(database).runs()]
    document = {"schema": 1, "runs": rows}
    click.echo(json.dumps(document, indent=2) if as_json else render_runs(document), nl=as_json)
