"""``labctl doctor``: what this machine lacks, and the command that mends it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from labctl.sandbox import needs

_WIDTH = 28


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Say what is missing here for the sandbox, and the command that mends it.

    Exit status 0 when nothing is missing, else 1.
    """
    from labctl.sandbox import needs

    found = needs.examine()
    missing = [need for need in found if not need.ok]
    if as_json:
        document = {
            "schema": 1,
            "ok": not missing,
            "needs": [
                {"name": need.name, "ok": need.ok, "found": need.found, "mend": need.mend or None}
                for need in found
            ],
            "mend": needs.mend_command(found) or None,
            "acceleration": needs.acceleration(),
        }
        click.echo(json.dumps(document, indent=2))
    else:
        _table(found)
        click.echo(f"  --  {'acceleration':<{_WIDTH}} {needs.acceleration()}")
        _verdict(missing, needs.mend_command(found))
    ctx.exit(1 if missing else 0)


def _table(found: list[needs.Need]) -> None:
    for need in found:
        mark = click.style("ok", fg="green") if need.ok else click.style("NO", fg="red", bold=True)
        click.echo(f"  {mark}  {need.name:<{_WIDTH}} {need.found}")


def _verdict(missing: list[needs.Need], command: str) -> None:
    if not missing:
        click.echo("Nothing is missing.")
        return
    click.echo("Missing. Run:")
    if command:
        click.echo(f"  {command}")
    for mend in dict.fromkeys(need.mend for need in missing if not need.package):
        click.echo(f"  {mend}")
