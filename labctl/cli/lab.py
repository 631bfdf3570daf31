"""labctl lab: what labs there are, what a lab gives points for, whether its checks are right."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path

import click

from labctl.cli.course import find_course
from labctl.cli.options import course_option, json_option
from labctl.errors import RequestError


@click.group()
def lab() -> None:
    """Show labs and their rubrics; prove their checks."""


@lab.command("list")
@course_option
@json_option
def list_command(course: Path | None, as_json: bool) -> None:
    """List the labs of the course."""
    from labctl.grading import list_labs, load_lab

    found = find_course(course)
    rows = []
    for name in list_labs(found.graders):
        one = load_lab(found.graders / name)
        checks = [check for check in one.checks if not check.is_answer]
        points = sum(check.points for check in checks)
        rows.append({"lab": name, "title": one.title, "checks": len(checks), "points": points})
    if as_json:
        click.echo(json.dumps({"schema": 1, "labs": rows}, indent=2))
        return
    for row in rows:
        click.echo(f"{row['lab']}  {row['title']}: {row['checks']} checks, {row['points']:g} points")


@lab.command("show")
@click.argument("name", metavar="LAB", required=False)
@click.option("--handout", "page", flag_value="handout", help="The student's page, in Markdown.")
@click.option(
    "--answers-template", "page", flag_value="answers", help="The file for students' answers, in YAML."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write into this file, which must not exist, in place of stdout.",
)
@course_option
@json_option
def show(name: str | None, page: str | None, output: Path | None, course: Path | None, as_json: bool) -> None:
    """Show what a lab asks, question by question, and what it gives points for."""
    from labctl.grading import load_lab, rubric_document
    from labctl.report.lab_pages import render_answers_template, render_handout, render_rubric

    if page and as_json:
        raise click.UsageError("--json is for the rubric; --handout and --answers-template are pages")
    found = find_course(course)
    document = rubric_document(load_lab(found.graders / (name or found.default_lab)))
    if as_json:
        text = json.dumps(document, indent=2) + "\n"
    else:
        render = {"handout": render_handout, "answers": render_answers_template}
        text = render.get(page or "", render_rubric)(document)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)


def _write(path: Path, text: str) -> None:
    """A new file: one that exists may hold a student's answers."""
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as err:
        raise RequestError(f"{path} exists already", hint="choose another name, or move it away") from err
    except OSError as err:
        raise RequestError(f"cannot write {path}: {err.strerror}") from err


# The student's labctl.pyz has neither of them.
for _name in ("verify", "new"):
    if importlib.util.find_spec(f"labctl.cli.{_name}"):
        _module = importlib.import_module(f"labctl.cli.{_name}")
        lab.add_command(getattr(_module, f"{_name}_command"))
