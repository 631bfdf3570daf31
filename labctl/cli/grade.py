"""labctl grade: judge VMs, show scorecards."""

from __future__ import annotations

import json
import secrets
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.context import Setting, program
from labctl.cli.course import find_course
from labctl.cli.limit import chosen, remember_failed
from labctl.cli.options import (
    course_option,
    database_option,
    forks_option,
    inventory_option,
    json_option,
    limit_option,
    vault_options,
)
from labctl.errors import CourseError, HostError, RequestError

if TYPE_CHECKING:
    from collections.abc import Callable

    from labctl.grading import Graded, Lab, Plan
    from labctl.grading.answers import Answers
    from labctl.inventory import Host
    from labctl.probes import StaffLink
    from labctl.store import Store

    Keep = Callable[[Host, Graded | HostError], None]


@click.command()
@click.argument("vms", metavar="[VM]...", nargs=-1)
@inventory_option
@course_option
@vault_options
@click.option("--lab", "lab_name", help="Which lab. Default: labctl.toml's.")
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
@limit_option
@forks_option
@database_option
@json_option
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
    limit: tuple[str, ...],
    forks: int,
    database: str | None,
    as_json: bool,
    output: Path | None,
) -> int:
    """Check what VMs really do, and give points, reasons and hints.

    Without a VM: this machine, as a student checks their own work. What is found of VMs is kept: see
    labctl runs.
    """
    from labctl.grading import ANSWER, lab_document, load_lab, plan_for, run_document, target_of, time_text
    from labctl.grading.answers import secrets_for
    from labctl.inventory import local_host
    from labctl.probes import StaffLink

    setting = Setting.current(inventory, course) if vms or limit else None
    used = setting.course if setting else find_course(course)
    if watching and (as_json or output):
        raise RequestError("--watch shows what changes to a person: leave --json and -o out")
    hosts = chosen(setting, vms, limit) if setting else (local_host(),)
    lab = load_lab(used.graders / (lab_name or used.default_lab))
    answers = _answers(setting, lab, hosts, answers_path) if answers_path else None
    plan = plan_for(lab, only, disrupt=not no_disrupt, deadline=deadline, answers=answers)
    if not plan.checks:
        raise CourseError("no check is left to run", hint="--only names checks that --no-disrupt leaves out")
    if answers is None and all(one.id.startswith(ANSWER) for one in plan.checks):
        raise CourseError("only written answers are asked for, and there are none", hint="--answers FILE")
    staff = StaffLink(_staff_host(setting) if setting else None)
    for host in hosts:
        host.validate()
        # a wrong variable is found before anything connects
        target_of(host, staff.host)
        secrets_for(lab.rubric, host, staff.host)
    if setting:
        setting.on_the_way(hosts)
    if output is not None and not output.parent.is_dir():
        raise CourseError(f"{output.parent} is no directory")
    if watching:
        from labctl.cli.watch import watch

        return watch(_the_one(hosts), plan, staff)
    started = datetime.now(timezone.utc)
    run = f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
    store = None
    if setting:
        from labctl.store import open_store

        store = open_store(database, create=True)
        store.begin(run, lab_document(lab), time_text(started), [host.name for host in hosts])
    keeper = _Keeper(store, run, lab)
    outcomes = _run(hosts, plan, staff, forks, keeper.keep)
    keeper.finish()
    document = run_document(run, lab, started, outcomes)
    text = json.dumps(document, indent=1)
    if output is not None:
        output.write_text(text + "\n", encoding="utf-8")
    if as_json:
        click.echo(text)
    else:
        _show(document)
    if setting:
        again = {one["host"] for one in document["hosts"] if _not_done(one)}
        remember_failed(setting, "grade", [host for host in hosts if host.name in again])
    return 3 if keeper.lost else exit_status(document)


def _the_one(hosts: tuple[Host, ...]) -> Host:
    if len(hosts) != 1:
        raise RequestError(f"--watch looks at one VM, not at {len(hosts)}", hint="name one of them")
    return hosts[0]


def _answers(setting: Setting | None, lab: Lab, hosts: tuple[Host, ...], path: Path) -> dict[str, Answers]:
    """The written answers by VM; every file is read before anything is sent."""
    from labctl.grading.answers import find_answers, read_answers

    names = [host.name for host in hosts]
    if not path.is_dir():
        if len(hosts) != 1:
            raise RequestError(
                f"{path} holds one student's answers, and {len(hosts)} VMs are named",
                hint="give a directory with a file for each VM: alice.yml",
            )
        return {names[0]: read_answers(path, lab.rubric)}
    if setting is None:
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


class _Keeper:
    """Commits each VM's outcome to the results before it is told. Without a store it keeps nothing.

    ``lost`` are the VMs whose outcome could not be kept: they are told all the same.
    """

    def __init__(self, store: Store | None, run: str, lab: Lab) -> None:
        self._store = store
        self._run = run
        self._lab = lab
        self.lost: list[str] = []

    def keep(self, host: Host, outcome: Graded | HostError) -> None:
        if self._store is None:
            return
        from labctl.grading import outcome_document
        from labctl.store import StoreError

        try:
            self._store.add(self._run, outcome_document(host.name, self._lab, outcome))
        except StoreError as err:
            self.lost.append(host.name)
            click.echo(f"{host.name}: its result could not be kept: {err.message}", err=True)

    def finish(self) -> None:
        """The run is over, for what ``labctl runs`` says of it."""
        if self._store is not None and not self.lost:
            self._store.finish(self._run)


def _run(
    hosts: tuple[Host, ...], plan: Plan, staff: StaffLink, forks: int, keep: Keep
) -> dict[str, Graded | HostError]:
    from labctl.batch import fan_out
    from labctl.grading import grade_host
    from labctl.report.grade_console import progress_line

    began = time.monotonic()
    done = 0

    def tell(host: Host, outcome: Graded | HostError) -> None:
        nonlocal done
        keep(host, outcome)
        done += 1
        said = (
            outcome.message
            if isinstance(outcome, HostError)
            else f"{outcome.score:g} of {outcome.max_score:g}"
        )
        click.echo(progress_line(done, len(hosts), host.name, said, time.monotonic() - began), err=True)

    if len(hosts) == 1:
        click.echo(progress_line(0, 1, hosts[0].name, "looking", 0.0), err=True)

    def interrupted(_signum: int, _frame: object) -> None:
        # experiments under way restore first; the fan-out waits for them
        plan.stop.set()
        click.echo("interrupted: putting back what was changed", err=True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        return fan_out(hosts, lambda host: grade_host(host, plan, staff), forks=forks, on_done=tell)
    finally:
        signal.signal(signal.SIGINT, before)
        staff.close()


def _show(document: dict[str, Any]) -> None:
    from labctl.report.grade_console import render_scorecard

    text = render_scorecard(document, tty=sys.stdout.isatty(), program=program())
    click.echo(text, nl=False, color=True)
