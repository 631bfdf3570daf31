"""labctl stats: what a class's results say together."""

from __future__ import annotations

import json
from pathlib import Path

import click

from labctl.cli.options import database_option, json_option
from labctl.cli.output import write_output
from labctl.cli.results import kept_of, results
from labctl.errors import RequestError


@click.command()
@click.argument("run")
@click.option(
    "--plots",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE.png|FILE.svg",
    help="Draw them too, into this file (pip install 'labctl[plots]').",
)
@database_option
@json_option
def stats(run: str, plots: Path | None, database: str | None, as_json: bool) -> None:
    """Show a run's distribution, each check's pass rate, and what is broken most often.

    RUN is a run's id or the beginning of it, or: last. Of several attempts of a VM one counts: see
    labctl grade --keep.
    """
    from labctl.grading.statistics import duplicates, statistics
    from labctl.report.stats_console import render_stats

    store = results(database)
    name = store.find(run)
    about = store.about(name)
    hosts = [one.document for one in kept_of(store, name)]
    document = {
        "schema": 1,
        **{key: about[key] for key in ("run", "lab", "title", "keep")},
        "not_graded_yet": list(store.waiting(name)),
        "statistics": statistics(hosts),
        "duplicates": duplicates(hosts),
    }
    if plots is not None:
        _draw(document, plots)
    click.echo(json.dumps(document, indent=2) if as_json else render_stats(document), nl=as_json)


def _draw(document: dict[str, object], path: Path) -> None:
    from labctl.report.plots import FORMATS, plot_stats

    form = path.suffix.lower().lstrip(".")
    if form not in FORMATS:
        raise RequestError(f"--plots {path}: the name has to end in .png or .svg")
    try:
        picture = plot_stats(document, form)
    except ModuleNotFoundError as err:
        raise RequestError(
            f"--plots needs the Python package {err.name}", hint="pip install 'labctl[plots]'"
        ) from err
    write_output(path, picture)
