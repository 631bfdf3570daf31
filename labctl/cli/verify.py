"""labctl lab verify: prove a lab's checks on VMs with known faults."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.course import Course, find_course
from labctl.cli.leaving import interruptible
from labctl.cli.options import course_option, json_option
from labctl.errors import SandboxError

if TYPE_CHECKING:
    from labctl.verify import Comparison, Report

SETUP_SECONDS = 900.0


@click.command("verify")
@click.argument("name", metavar="LAB", required=False)
@click.option(
    "--only", multiple=True, metavar="NAME", help="Only this mutant, variant or section of the lab."
)
@course_option
@json_option
def verify_command(name: str | None, only: tuple[str, ...], course: Path | None, as_json: bool) -> int:
    """Prove a lab: each known fault loses exactly its points, honest work done otherwise loses none.

    VMs are made for it on this machine, and removed after: containers where they do (as root), QEMU VMs
    for what needs a kernel of its own.
    """
    from labctl.grading import load_lab
    from labctl.report.verify_console import render_matrix
    from labctl.sandbox.paths import sandbox_name
    from labctl.verify import load_matrix, verify

    found = find_course(course)
    path = found.graders / (name or found.default_lab)
    lab = load_lab(path)
    matrix = load_matrix(lab, path / "mutants")
    stop = threading.Event()
    total, done = len(matrix.choose(only)), 0

    def tell(said: str, one: Comparison | None) -> None:
        nonlocal done
        if one is None:
            click.echo(said, err=True)
            return
        done += 1
        state = "ok" if not one.problems else "FAIL"
        click.echo(f"[{done}/{total}] {state:4}  {one.case.name}  ({said}, {one.seconds:.0f} s)", err=True)

    def interrupted() -> None:
        stop.set()
        click.echo("interrupted: ending what is under way, and removing the VMs", err=True)

    # One is enough: another would end this process before the VMs are gone. A time limit's signal must not
    # leave them behind either.
    with (
        interruptible(interrupted, times=1, signals=(signal.SIGINT, signal.SIGTERM)),
        contextlib.redirect_stdout(sys.stderr),  # what a check prints is no part of the report
    ):
        report = verify(
            lab,
            matrix,
            lambda inventory, vms, skip: _setup(found, lab.name, inventory, vms, skip),
            only=only,
            sandbox=f"{sandbox_name()}-verify",
            tell=tell,
            stop=stop,
        )
    document = _document(report)
    click.echo(json.dumps(document, indent=2) if as_json else render_matrix(document), nl=as_json)
    return 0 if report.good else 1


def _setup(course: Course, lab: str, inventory: Path, vms: Sequence[str], skip_tags: Sequence[str]) -> None:
    """``labctl setup`` in a process of its own: a grader shares no code with what it grades."""
    skipped = [word for tag in skip_tags for word in ("--skip-tags", tag)]
    # what the course sets up is for the lab that it grades; another lab has the playbook of its name
    playbook = [] if lab == course.default_lab else ["--playbook", lab]
    argv = [sys.executable, "-m", "labctl", "setup", *vms, "-i", str(inventory), *skipped, *playbook]
    try:
        done = subprocess.run(
            [*argv, "--course", str(course.root)],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=SETUP_SECONDS,
            check=False,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
        )
    except subprocess.TimeoutExpired as err:
        raise SandboxError(
            f"the reference solution was not set up within {SETUP_SECONDS:.0f} s",
            hint="run labctl setup on a sandbox's VMs: it shows which task takes so long",
        ) from err
    if done.returncode != 0:
        said = (done.stderr + done.stdout).strip()[-1500:]
        raise SandboxError(f"the reference solution could not be set up:\n{said}")


def _document(report: Report) -> dict[str, Any]:
    rows = [(one.case.kind, _row(one)) for one in report.comparisons]
    return {
        "schema": 1,
        "lab": report.lab.name,
        "title": report.lab.title,
        "sections": dict(report.lab.sections),
        "good": report.good,
        "whole": report.whole,
        "seconds": report.seconds,
        "mutants": [row for kind, row in rows if kind == "mutant"],
        "others": [row for kind, row in rows if kind != "mutant"],
        "survived": list(report.survivors),
        "not_killed_checks": list(report.uncovered),
    }


def _row(one: Comparison) -> dict[str, Any]:
    return {
        "name": one.case.name,
        "kind": one.case.kind,
        "section": one.case.section,
        "what": one.case.what,
        "driver": one.driver,
        "killed": one.killed,
        "expected": list(one.expected),
        "lost": list(one.lost),
        "expected_points": one.expected_points,
        "lost_points": one.lost_points,
        "problems": list(one.problems),
        "seconds": one.seconds,
    }
