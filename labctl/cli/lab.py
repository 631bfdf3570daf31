"""labctl lab: what labs there are, what a lab gives points for, whether its checks are right."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path

import click

from labctl.cli.course import find_course
from labctl.cli.options import course_option, inventory_option, json_option
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
@click.option(
    "--for",
    "vms",
    metavar="VM",
    help="Fill in, in the student's page, what is the same for these VMs: with all, the names of the "
    "course; with one, its own too.",
)
@inventory_option
@course_option
@json_option
def show(
    name: str | None,
    page: str | None,
    output: Path | None,
    vms: str | None,
    inventory: tuple[Path, ...],
    course: Path | None,
    as_json: bool,
) -> None:
    """Show what a lab asks, question by question, and what it gives points for."""
    from labctl.grading import load_lab, rubric_document
    from labctl.report.lab_pages import render_answers_template, render_handout, render_rubric

    if page and as_json:
        raise click.UsageError("--json is for the rubric; --handout and --answers-template are pages")
    if vms and page != "handout":
        raise click.UsageError("--for is for the student's page: --handout")
    found = find_course(course)
    document = rubric_document(load_lab(found.graders / (name or found.default_lab)))
    if as_json:
        text = json.dumps(document, indent=2) + "\n"
    elif page == "handout":
        text = render_handout(document, _known(document["names"], vms, inventory, course) if vms else None)
    else:
        text = (render_answers_template if page else render_rubric)(document)
    if output is None:
        click.echo(text, nl=False)
    else:
        _write(output, text)


def _known(
    names: Mapping[str, Mapping[str, str]], vms: str, inventory: tuple[Path, ...], course: Path | None
) -> dict[str, str]:
    """What words of a rubric's names stand for, where that is the same for all of these VMs that have it."""
    from labctl.cli.context import Setting

    hosts = Setting.current(inventory, course).inventory.some([vms])
    known = {}
    for word, one in names.items():
        values = {str(host.value(one["variable"]) or "").rstrip(".") for host in hosts} - {""}
        if len(values) == 1:
            known[word] = values.pop()
    return known


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
