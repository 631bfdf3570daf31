"""labctl lab: what labs there are, what a lab gives points for, whether its checks are right."""

from __future__ import annotations

import json
from pathlib import Path

import click

from labctl.cli.course import find_course
from labctl.cli.options import course_option, json_option
from labctl.cli.verify import verify_command


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
        points = sum(check.points for check in one.checks)
        rows.append({"lab": name, "title": one.title, "checks": len(one.checks), "points": points})
    if as_json:
        click.echo(json.dumps({"schema": 1, "labs": rows}, indent=2))
        return
    for row in rows:
        click.echo(f"{row['lab']}  {row['title']}: {row['checks']} checks, {row['points']:g} points")


@lab.command("show")
@click.argument("name", metavar="LAB", required=False)
@course_option
@json_option
def show(name: str | None, course: Path | None, as_json: bool) -> None:
    """Show what a lab gives points for."""
    from labctl.grading import load_lab
    from labctl.report.grade_console import render_rubric

    found = find_course(course)
    one = load_lab(found.graders / (name or found.default_lab))
    document = {
        "schema": 1,
        "lab": one.name,
        "title": one.title,
        "sections": dict(one.sections),
        "max_score": sum(check.points for check in one.checks),
        "checks": [
            {
                "id": check.id,
                "section": one.section_of(check),
                "question": check.question,
                "max_score": check.points,
                "title": check.title,
                "after": list(check.after),
                "disruptive": check.disruptive,
            }
            for check in one.checks
        ],
    }
    click.echo(json.dumps(document, indent=2) if as_json else render_rubric(document), nl=as_json)


lab.add_command(verify_command)
