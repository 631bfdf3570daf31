"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from labctl import vault
from labctl.batch import DEFAULT_FORKS

inventory_option = click.option(
    "-i",
    "--inventory",
    type=click.Path(path_type=Path, exists=True),
    multiple=True,
    help="An inventory file (Ansible's YAML or INI, a CSV roster) or a directory of them; may be given "
    "again. Default: the running sandbox's, or labctl.toml's.",
)
course_option = click.option(
    "--course",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="The course directory. Default: this one if it holds a labctl.toml, else the one bundled.",
)
forks_option = click.option(
    "--forks",
    type=click.IntRange(1, 1000),
    default=DEFAULT_FORKS,
    show_default=True,
    help="How many VMs at once.",
)
limit_option = click.option(
    "--limit",
    multiple=True,
    metavar="PATTERN|@FILE",
    help="Only these of the VMs named; @FILE holds a name per line, as a failed run leaves it.",
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON document on stdout, nothing else."
)
json_lines_option = click.option(
    "--json-lines", is_flag=True, help="Events on stdout as they come, one JSON object a line, nothing else."
)
database_option = click.option(
    "--database",
    metavar="URL",
    help="The results database. Default: LABCTL_DATABASE, else a file in your state directory.",
)


def vault_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The passwords of vaults, for every command that reads playbooks or an inventory."""

    @click.option(
        "--vault-id",
        "vault_ids",
        multiple=True,
        metavar="LABEL@FILE",
        help="The same for one label; `prompt` in FILE's place asks for it.",
    )
    @click.option(
        "--vault-password-file",
        "--vault-pass-file",
        "password_files",
        multiple=True,
        metavar="FILE",
        help="What opens files and strings encrypted with ansible-vault; an executable prints it.",
    )
    @functools.wraps(command)
    def with_passwords(
        *args: Any, vault_ids: tuple[str, ...], password_files: tuple[str, ...], **options: Any
    ) -> Any:
        vault.use_passwords(vault_ids, password_files)
        return command(*args, **options)

    return with_passwords
