"""labctl lab new: a small lab that is whole, to be changed into one's own."""

from __future__ import annotations

import re
from pathlib import Path

import click

from labctl.cli.course import SETTINGS
from labctl.errors import RequestError

_FILES = Path(__file__).parent / "new_lab"
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
#: Of labctl's own files -> where each goes in a course.
_PLACES = {
    "playbook.yml": "playbooks/@NAME@.yml",
    "reset.yml": "playbooks/@NAME@-reset.yml",
    "graders/init.py.txt": "graders/@NAME@/__init__.py",
    "graders/welcome.py.txt": "graders/@NAME@/welcome.py",
    "graders/rubric.yml": "graders/@NAME@/rubric.yml",
    "graders/mutants/matrix.yml": "graders/@NAME@/mutants/matrix.yml",
    "graders/mutants/welcome.yml": "graders/@NAME@/mutants/welcome.yml",
}


@click.command("new")
@click.argument("name", metavar="NAME")
@click.option(
    "--course",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    default=Path(),
    help="The course directory. Default: this one, which becomes one if it is none.",
)
def new_command(name: str, course: Path) -> None:
    """Make a lab with one check, one mutant, a rubric and a playbook, which passes labctl lab verify."""
    if not _NAME.match(name):
        raise RequestError(
            f"{name!r} cannot be a lab's name",
            hint="lower-case letters, digits and _, beginning with a letter",
        )
    files = {place.replace("@NAME@", name): _text(source, name) for source, place in _PLACES.items()}
    if not (course / SETTINGS).exists():
        files[SETTINGS] = _text("labctl.toml", name)
    for place in files:
        if (course / place).exists():
            raise RequestError(f"{course / place} is there already", hint="give the new lab another name")
    for place, text in files.items():
        path = course / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        click.echo(path)
    click.echo(f"Next: labctl lab show {name}; labctl lab verify {name}")


def _text(source: str, name: str) -> str:
    return (_FILES / source).read_text(encoding="utf-8").replace("@NAME@", name)
