"""labctl reset: take the lab off VMs again."""

from __future__ import annotations

from pathlib import Path

import click

from labctl.cli.options import (
    course_option,
    forks_option,
    inventory_option,
    json_option,
    limit_option,
    vault_options,
)
from labctl.cli.playbooks import run_playbooks


@click.command()
@click.argument("vms", metavar="VM...", nargs=-1)
@inventory_option
@course_option
@vault_options
@click.option("--check", is_flag=True, help="Change nothing; say what would be changed.")
@click.option("--diff", is_flag=True, help="Show how files differ.")
@click.option(
    "-e", "--extra-vars", multiple=True, metavar="K=V|@FILE|JSON", help="Variables that win over all others."
)
@limit_option
@click.option("-v", "--verbose", count=True, help="Show each task's arguments and output.")
@forks_option
@json_option
def reset(
    vms: tuple[str, ...],
    inventory: tuple[Path, ...],
    course: Path | None,
    check: bool,
    diff: bool,
    extra_vars: tuple[str, ...],
    limit: tuple[str, ...],
    verbose: int,
    forks: int,
    as_json: bool,
) -> int:
    """Bring VMs back to the state before the lab, with the course's [reset] playbooks."""
    return run_playbooks(
        "reset",
        vms,
        inventory=inventory,
        course=course,
        check=check,
        diff=diff,
        extra_vars=extra_vars,
        limit=limit,
        verbose=verbose,
        forks=forks,
        as_json=as_json,
    )
