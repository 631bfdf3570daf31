"""labctl grade: judge VMs, show scorecards."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.context import Setting, program
from labctl.cli.gradescope import deliver_run, keys_directory, keys_option
from labctl.cli.grading_run import Asked, GradingRun, earlier_run, new_run
from labctl.cli.leaving import interruptible
from labctl.cli.limit import remember_failed
from labctl.cli.options import (
    course_option,
    database_option,
    forks_option,
    inventory_option,
    json_lines_option,
    json_option,
    limit_option,
    vault_options,
)
from labctl.cli.output import write_output
from labctl.cli.progress import observing
from labctl.errors import CourseError, RequestError

if TYPE_CHECKING:
    from labctl.gradescope import Keys
    from labctl.grading import Lab, Observer, Plan
    from labctl.grading.answers import Answers
    from labctl.inventory import Host
    from labctl.probes import StaffLink

#: The scorecards of as many VMs are shown after a run; of more, a line each.
SCORECARDS = 10


@click.command()
@click.argument("vms", metavar="[VM]...", nargs=-1)
@inventory_option
@course_option
@vault_options
@click.option("--lab", "lab_name", help="A lab of the course, or the path of one. Default: labctl.toml's.")
@click.option(
    "--only", multiple=True, metavar="ID", help="Only this check, section or question (and what it needs)."
)
@click.option("--no-disrupt", is_flag=True, help="Only look: no crash experiment, nothing written.")
@click.option(
    "--watch", "watching", is_flag=True, help="Stay, and look again when something changes on the VM."
)
@click.option(
    "--deadline", type=click.FloatRange(5, 3600), default=180, show_default=True, help="Seconds for one VM."
)
@click.option(
    "--answers",
    "answers_path",
    type=click.Path(path_type=Path, exists=True),
    metavar="FILE|DIR",
    help="Written answers: one VM's file, or a directory of files named after VMs (alice.yml).",
)
@click.option(
    "--deliver",
    is_flag=True,
    help="Sign each complete grade and leave it in the student's home, for Gradescope.",
)
@keys_option
@limit_option
@forks_option
@click.option("--resume", is_flag=True, help="Go on with the last run that was broken off, or with --run's.")
@click.option("--run", "run_name", metavar="RUN", help="Another attempt of these VMs in a run that was kept.")
@click.option(
    "--keep",
    type=click.Choice(["best", "last", "first"]),
    help="Which of a VM's attempts counts in this run. Default: last.",
)
@database_option
@json_option
@json_lines_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the JSON document to this file too.",
)
def grade(
    vms: tuple[str, ...],
    inventory: tuple[Path, ...],
    course: Path | None,
    lab_name: str | None,
    only: tuple[str, ...],
    no_disrupt: bool,
    watching: bool,
    deadline: float,
    answers_path: Path | None,
    deliver: bool,
    keys: Path | None,
    limit: tuple[str, ...],
    forks: int,
    resume: bool,
    run_name: str | None,
    keep: str | None,
    database: str | None,
    as_json: bool,
    json_lines: bool,
    output: Path | None,
) -> int:
    """Check what VMs really do, and give points, reasons and hints.

    Without a VM: this machine, as a student checks their own work. What is found of VMs is kept: see
    labctl runs.
    """
    from labctl.grading import ANSWER, plan_for, run_document, target_of
    from labctl.grading.answers import secrets_for
    from labctl.probes import StaffLink

    named = vms or limit or resume or run_name
    _agree(
        output=(as_json, json_lines),
        keeping=(named, keep or database),
        beginning=(resume or run_name, lab_name or only or no_disrupt),
    )
    setting = Setting.current(inventory, course) if named else Setting.here(course)
    new = Asked(lab_name or setting.course.default_lab, only, not no_disrupt, answers_path)
    run = (
        earlier_run(setting, run_name, vms, limit, database, resume=resume, answers=answers_path)
        if resume or run_name
        else new_run(setting, new, vms, limit, database)
    )
    run.whole = as_json or output is not None
    asked = run.asked
    lab = run.lab(setting.course.graders)
    answers = _answers(setting, lab, run, asked.answers) if asked.answers else None
    plan = plan_for(lab, asked.only, disrupt=asked.disrupt, deadline=deadline, answers=answers)
    if not plan.checks:
        raise CourseError("no check is left to run", hint="--only names checks that --no-disrupt leaves out")
    if answers is None and all(one.id.startswith(ANSWER) for one in plan.checks):
        raise CourseError("only written answers are asked for, and there are none", hint="--answers FILE")
    staff = StaffLink(_staff_host(setting) if run.kept else None)
    for host in run.hosts:
        host.validate()
        # a wrong variable is found before anything connects
        target_of(host, staff.host)
        secrets_for(lab.rubric, host, staff.host)
    setting.on_the_way(run.hosts)
    signing = _signing(keys, run) if deliver else None
    if output is not None and not output.parent.is_dir():
        raise CourseError(f"{output.parent} is no directory")
    if watching:
        return _watch(run, plan, staff, kept=as_json or json_lines or output or run.resumes or run.continues)
    run.begin(setting, lab, keep)
    with observing(run.name, [host.name for host in run.hosts], forks, json_lines=json_lines) as observer:
        try:
            documents, lost = _grade(run, plan, staff, forks, observer)
        finally:
            finished = run.finish()
        document = run_document(run.name, lab, run.started, run.all_of(documents))
        status = 3 if lost or not finished else exit_status(document)
        observer.over(status)
    # a class is megabytes of text: written when asked for
    text = json.dumps(document, indent=1) if as_json or output is not None else ""
    try:
        if not json_lines:
            _show(document, text if as_json else None)
        if run.store and finished:
            _remember_failed(run, setting, document)
    finally:  # whoever reads stdout may have gone: who asked for a file or receipts has them all the same
        undelivered = _hand_out(run, setting, text, output, signing, forks)
    return undelivered or status


def _agree(*, output: tuple[Any, Any], keeping: tuple[Any, Any], beginning: tuple[Any, Any]) -> None:
    """Raises RequestError for options that contradict each other."""
    if all(output):
        raise RequestError("--json and --json-lines both want stdout for themselves")
    named, kept = keeping
    if kept and not named:
        raise RequestError(
            "--keep and --database are for results that are kept: those of this machine alone are not",
            hint="name the VMs",
        )
    if all(beginning):
        raise RequestError("--lab, --only and --no-disrupt are as the run began, and cannot be changed")


#: What a further attempt in a run does not take again: by option, whether it has a value.
_AS_THE_RUN_BEGAN = {"--lab": True, "--only": True, "--no-disrupt": False, "--resume": False, "--run": True}


def _signing(keys: Path | None, run: GradingRun) -> Keys:
    """The keys to sign receipts with, before anything connects."""
    if not run.kept or run.asked.only or not run.asked.disrupt:
        raise CourseError(
            "--deliver signs what a lab's whole run found on students' VMs",
            hint="name the VMs, and leave out --only and --no-disrupt",
        )
    from labctl.gradescope import open_keys  # labctl.pyz, which keeps nothing, has it not

    return open_keys(keys_directory(keys))


def _watch(run: GradingRun, plan: Plan, staff: StaffLink, *, kept: Any) -> int:
    from labctl.cli.watch import watch

    if kept:
        raise RequestError("--watch shows a person what changes: no --json, -o, --run, --resume with it")
    if len(run.hosts) != 1:
        raise RequestError(f"--watch looks at one VM, not at {len(run.hosts)}", hint="name one of them")
    return watch(run.hosts[0], plan, staff)


def _answers(setting: Setting, lab: Lab, run: GradingRun, path: Path) -> dict[str, Answers]:
    """The written answers by VM; every file is read before anything is sent."""
    from labctl.grading.answers import find_answers, read_answers

    if not path.exists():  # those that an earlier run began with
        raise RequestError(
            f"{path}: there are no answers here any more", hint="--answers FILE says where they are now"
        )
    names = [host.name for host in run.hosts]
    if not path.is_dir():
        if len(names) != 1:
            raise RequestError(
                f"{path} holds one student's answers, and {len(names)} VMs are named",
                hint="give a directory with a file for each VM: alice.yml",
            )
        owner = path.name.removesuffix(path.suffix)
        if run.kept and owner != names[0] and owner in setting.inventory.hosts:
            raise RequestError(
                f"{path} is named after another VM, and would be judged as {names[0]}'s answers",
                hint=f"are they {names[0]}'s? Then give the file another name",
            )
        return {names[0]: read_answers(path, lab.rubric)}
    if not run.kept:
        raise RequestError(f"{path} is a directory", hint="for this machine give the file: --answers FILE")
    files = find_answers(path, names, list(setting.inventory.hosts))
    without = [name for name in names if name not in files]
    if without:
        click.echo(f"no answers from {', '.join(without)}: they count as not given", err=True)
    return {name: read_answers(file, lab.rubric) for name, file in files.items()}


def exit_status(document: dict[str, Any]) -> int:
    """3 when some VM could not be judged or put back, 1 when a point is missing, 0 otherwise."""
    hosts = document["hosts"]
    if any(_not_done(host) for host in hosts):
        return 3
    return 0 if all(host["score"] == host["max_score"] for host in hosts) else 1


def _not_done(host: dict[str, Any]) -> bool:
    return host["status"] == "error" or host["restored"] is False


def _staff_host(setting: Setting) -> Host | None:
    staff = setting.inventory.group_hosts("staff")
    return staff[0] if staff else None


def _grade(
    run: GradingRun, plan: Plan, staff: StaffLink, forks: int, observer: Observer
) -> tuple[dict[str, dict[str, Any]], list[str]]:
    from labctl.grading import grade_hosts

    def interrupted() -> None:
        # experiments under way restore first; the fan-out waits for them
        plan.stop.set()
        click.echo("interrupted: putting back what was changed", err=True)

    with interruptible(interrupted):
        try:
            return grade_hosts(run.hosts, plan, staff, observer, forks=forks, book=run.book)
        finally:
            staff.close()


def _remember_failed(run: GradingRun, setting: Setting, document: dict[str, Any]) -> None:
    failed = run.hosts_of(setting, [one["host"] for one in document["hosts"] if _not_done(one)])
    # a further attempt in the same run: what is exported of it is the whole class
    remember_failed(setting, "grade", failed, instead=_AS_THE_RUN_BEGAN, more=("--run", run.name))


def _hand_out(
    run: GradingRun, setting: Setting, text: str, output: Path | None, signing: Keys | None, forks: int
) -> int:
    """The file and the receipts, these also where the file cannot be written; 3 when a VM has no receipt."""
    undelivered = 0
    try:
        if output is not None:
            write_output(output, text + "\n")
    finally:
        if signing and run.store:
            undelivered = deliver_run(run.store, run.name, setting, signing, forks)
    return undelivered


def _show(document: dict[str, Any], text: str | None) -> None:
    """``text`` is what it is as JSON, where that is wanted."""
    if text is not None:
        click.echo(text)
        return
    from labctl.report.grade_console import render_class, render_scorecard

    tty = sys.stdout.isatty()
    if len(document["hosts"]) > SCORECARDS:
        text = render_class(document, tty=tty)
    else:
        text = render_scorecard(document, tty=tty, program=program())
    click.echo(text, nl=False, color=True)
