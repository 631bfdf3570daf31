"""labctl compare: how two kept runs differ."""

from __future__ import annotations

import json

import click

from labctl.cli.options import database_option, json_option
from labctl.cli.results import kept_of, results
from labctl.errors import RequestError


@click.command()
@click.argument("before", metavar="RUN")
@click.argument("after", metavar="RUN")
@database_option
@json_option
def compare(before: str, after: str, database: str | None, as_json: bool) -> None:
    """Show whose points changed from one run to another, and by which checks."""
    from labctl.grading import compare as differ
    from labctl.report.stats_console import render_comparison

    store = results(database)
    names = store.find(before), store.find(after)
    labs = [store.about(name)["lab"] for name in names]
    if labs[0] != labs[1]:
        raise RequestError(f"{names[0]} is of {labs[0]} and {names[1]} of {labs[1]}: they share no check")
    rows = differ(*([one.document for one in kept_of(store, name)] for name in names))
    document = {"schema": 1, "lab": labs[0], "before": names[0], "after": names[1], "hosts": rows}
    click.echo(json.dumps(document, indent=2) if as_json else render_comparison(document), nl=as_json)
