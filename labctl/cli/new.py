"""labctl lab new: a small lab that is whole, to be changed into one's own."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
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
    _write(course.resolve(), files)
    for place in files:
        click.echo(course / place)
    click.echo(f"Next: labctl lab show {name}; labctl lab verify {name}")


def _write(course: Path, files: Mapping[str, str]) -> None:
    """All of them, or none: half a lab is in the way of the whole one. Raises :class:`RequestError`."""
    made: list[Path] = []
    try:
        for place in files:
            if (course / place).exists():
                raise RequestError(f"{course / place} is there already", hint="give the new lab another name")
        for place, text in files.items():
            path = course / place
            for directory in reversed(path.relative_to(course).parents):
                if not (course / directory).is_dir():
                    (course / directory).mkdir()
                    made.append(course / directory)
            with path.open("x", encoding="utf-8") as file:
                made.append(path)
                file.write(text)
    except OSError as err:
        for path in reversed(made):
            with contextlib.suppress(OSError):
                path.rmdir() if path.is_dir() else path.unlink()
        raise RequestError(f"cannot write {err.filename or course}: {err.strerror}") from err


def _text(source: str, name: str) -> str:
    return (_FILES / source).read_text(encoding="utf-8").replace("@NAME@", name)
