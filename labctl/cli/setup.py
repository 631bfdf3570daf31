"""labctl setup: prepare VMs with playbooks."""

from __future__ import annotations

from pathlib import Path

import click

from labctl.cli.options import (
    course_option,
    forks_option,
    inventory_option,
    json_lines_option,
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
@click.option(
    "--playbook", "names", multiple=True, metavar="NAME|FILE", help="Instead of labctl.toml's playbooks."
)
@click.option("--check", is_flag=True, help="Change nothing; say what would be changed.")
@click.option("--diff", is_flag=True, help="Show how files differ.")
@click.option("--tags", multiple=True, metavar="T", help="Only tasks with one of these tags.")
@click.option("--skip-tags", multiple=True, metavar="T", help="No tasks with these tags.")
@click.option(
    "-e", "--extra-vars", multiple=True, metavar="K=V|@FILE|JSON", help="Variables that win over all others."
)
@limit_option
@click.option("-v", "--verbose", count=True, help="Show each task's arguments and output.")
@click.option(
    "--engine",
    type=click.Choice(["labctl", "ansible"]),
    default="labctl",
    show_default=True,
    help="Who carries the playbooks out: labctl, or ansible-core (pip install 'labctl[ansible]').",
)
@forks_option
@json_option
@json_lines_option
def setup(
    vms: tuple[str, ...],
    inventory: tuple[Path, ...],
    course: Path | None,
    names: tuple[str, ...],
    check: bool,
    diff: bool,
    tags: tuple[str, ...],
    skip_tags: tuple[str, ...],
    extra_vars: tuple[str, ...],
    limit: tuple[str, ...],
    verbose: int,
    engine: str,
    forks: int,
    as_json: bool,
    json_lines: bool,
) -> int:
    """Prepare VMs with the course's playbooks.

    VM is a name or group of the inventory, a pattern (student*, all:!staff) or user@host[:port].
    A second run changes nothing. Each VM gets one connection; a VM that fails stops only itself.
    """
    return run_playbooks(
        "setup",
        vms,
        inventory=inventory,
        course=course,
        names=names,
        check=check,
        diff=diff,
        tags=tags,
        skip_tags=skip_tags,
        extra_vars=extra_vars,
        limit=limit,
        verbose=verbose,
        engine=engine,
        forks=forks,
        as_json=as_json,
        json_lines=json_lines,
    )
