"""labctl gradescope: receipts for students, and the autograder that reads them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.context import Setting
from labctl.cli.options import (
    course_option,
    database_option,
    forks_option,
    inventory_option,
    vault_options,
)
from labctl.cli.output import write_output
from labctl.cli.results import kept_of, lab_of, results
from labctl.errors import HostError, RequestError

if TYPE_CHECKING:
    from labctl.gradescope import Keys
    from labctl.inventory import Host
    from labctl.store import Store

keys_option = click.option(
    "--keys",
    type=click.Path(path_type=Path, file_okay=False),
    help="The directory of the receipts' keys. Default: one in your state directory.",
)


def keys_directory(given: Path | None) -> Path:
    """Where the keys of receipts are."""
    from labctl.sandbox.paths import state_dir

    return given or state_dir() / "gradescope"


@click.group()
def gradescope() -> None:
    """Sign results for students, and build the autograder that reads them."""


@gradescope.command("key")
@keys_option
@click.option("--new", is_flag=True, help="Make the key; there must be none yet.")
def key(keys: Path | None, new: bool) -> None:
    """Show the key that receipts are signed with, or make it."""
    from labctl.gradescope import make_keys, open_keys

    directory = keys_directory(keys)
    found = make_keys(directory) if new else open_keys(directory)
    click.echo(f"{found.fingerprint}  {directory}")


@gradescope.command("deliver")
@click.argument("run")
@click.argument("vms", metavar="[VM]...", nargs=-1)
@inventory_option
@course_option
@vault_options
@forks_option
@database_option
@keys_option
def deliver(
    run: str,
    vms: tuple[str, ...],
    inventory: tuple[Path, ...],
    course: Path | None,
    forks: int,
    database: str | None,
    keys: Path | None,
) -> int:
    """Sign the grades of a kept run and leave each student's receipt in their home on the VM.

    RUN is a run's id or the beginning of it, or: last.
    """
    from labctl.gradescope import open_keys

    store = results(database)
    setting = Setting.current(inventory, course)
    return deliver_run(store, store.find(run), setting, open_keys(keys_directory(keys)), forks, vms)


def deliver_run(
    store: Store, run: str, setting: Setting, keys: Keys, forks: int, vms: Sequence[str] = ()
) -> int:
    """Deliver the receipts of a run; 3 when some VM has none now, else 0."""
    from labctl.batch import fan_out
    from labctl.gradescope.deliver import NotDelivered
    from labctl.gradescope.deliver import deliver as leave
    from labctl.grading import load_lab
    from labctl.grading.answers import secrets_for
    from labctl.report.text import plain
    from labctl.store import Unreadable

    about = store.about(run)
    attempts = {one.host: one for one in kept_of(store, run)}
    asked = {host.name for host in setting.select(vms)} if vms else set(about["hosts"])
    names = [name for name in about["hosts"] if name in asked]
    if not names:
        raise RequestError(f"the run {run} has none of these VMs", hint=f"labctl show {run} lists its VMs")
    # the class list says whose VM is whose by its name there, and knows nothing of one named user@address
    known = {name for name in names if name in setting.inventory.hosts}
    lab = load_lab(setting.course.graders / lab_of(about))
    staff = next(iter(setting.inventory.group_hosts("staff")), None)
    done = 0

    def work(host: Host) -> str:
        if host.name not in attempts:
            raise NotDelivered("no receipt: the run ended before its turn")
        attempt = attempts[host.name]
        if attempt.document["score"] is not None and lab.other_points(attempt.document):
            raise NotDelivered(
                f"no receipt: the points of {lab.name} are others since: labctl regrade {run}, then again"
            )
        try:
            document = {**attempt.document, "evidence": store.evidence(attempt)}
        except Unreadable as err:
            raise NotDelivered(f"no receipt: {err.message}; {err.hint}") from err
        return leave(host, about, document, keys, secrets_for(lab.rubric, host, staff))

    def tell(host: Host, outcome: str | HostError) -> None:
        nonlocal done
        done += not isinstance(outcome, HostError)
        said = outcome.message if isinstance(outcome, HostError) else f"receipt in {outcome}"
        click.echo(f"{plain(host.name)}: {plain(said, multiline=False)}", err=True)

    fan_out(setting.select(sorted(known)) if known else (), work, forks=forks, on_done=tell)
    for name in names:
        if name not in known:
            click.echo(f"{plain(name)}: no receipt: it is not in the inventory", err=True)
    return 0 if done == len(names) else 3


def _moment(_ctx: click.Context, _param: click.Parameter, value: str) -> str:
    """A time as ISO 8601 writes it; what names no zone is in this machine's."""
    try:
        return datetime.fromisoformat(value).astimezone().isoformat() if value else ""
    except (ValueError, OverflowError) as err:
        raise click.BadParameter(f"{value!r} is no time: write it as 2026-11-22T18:00") from err


def _finite(_ctx: click.Context, _param: click.Parameter, value: float) -> float:
    if not math.isfinite(value):
        raise click.BadParameter(f"{value} is no number that can be counted with")
    return value


def _number(name: str, kind: click.ParamType[Any], default: float, help: str) -> Callable[[Any], Any]:
    return click.option(name, type=kind, callback=_finite, default=default, show_default=True, help=help)


@gradescope.command("build")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("autograder.zip"),
    show_default=True,
    help="The zip to write.",
)
@inventory_option
@course_option
@vault_options
@click.option("--lab", "lab_name", help="Which lab. Default: labctl.toml's.")
@keys_option
@_number("--max-age", click.FloatRange(0.1, 366), 14, "Days a receipt is good for.")
@click.option(
    "--not-before",
    callback=_moment,
    metavar="TIME",
    default="",
    help="Receipts signed earlier do not count: 2026-11-22T18:00, in this machine's zone or with its own.",
)
@_number("--late-percent", click.FloatRange(0, 100), 0, "Taken off for each day begun after the deadline.")
@_number("--attempts", click.IntRange(0), 0, "Submissions graded in --attempt-hours; 0: any number.")
@_number("--attempt-hours", click.FloatRange(0.1, 8784), 24, "Hours in which attempts are counted.")
@click.option(
    "--live",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="KEY",
    help="Grade the VMs from Gradescope, over SSH with this private key, which goes into the zip.",
)
def build(
    output: Path,
    inventory: tuple[Path, ...],
    course: Path | None,
    lab_name: str | None,
    keys: Path | None,
    max_age: float,
    not_before: str,
    late_percent: float,
    attempts: int,
    attempt_hours: float,
    live: Path | None,
) -> None:
    """Build the autograder's zip, to be uploaded to Gradescope.

    It believes the receipts that labctl grade --deliver leaves with the students. With --live it grades the
    VMs itself.
    """
    import base64

    from labctl.gradescope import open_keys
    from labctl.gradescope.build import access_with, roster
    from labctl.gradescope.build import build as make
    from labctl.gradescope.settings import Settings
    from labctl.grading import load_lab

    setting = Setting.current(inventory, course)
    place = setting.course.graders / (lab_name or setting.course.default_lab)
    lab = load_lab(place)
    students = roster(tuple(setting.inventory.hosts.values()))
    public = sealing = ""
    access = None
    if live:
        names = {row["host"] for row in students.values()}
        every = list(setting.inventory.hosts.values())
        access = access_with(live, [host for host in every if host.name in names], every)
    else:
        found = open_keys(keys_directory(keys))
        public, sealing = base64.b64encode(found.public).decode(), found.sealing.decode()
    settings = Settings(
        lab=lab.name,
        mode="live" if live else "receipts",
        roster=students,
        public=public,
        sealing=sealing,
        max_age=max_age,
        not_before=not_before,
        late_percent=late_percent,
        attempts=attempts,
        attempt_hours=attempt_hours,
    )
    write_output(output, make(settings, place.parent, access))
    since = f" signed from {not_before} on" if not_before and not live else ""
    click.echo(f"{output}: {lab.name}, {len(students)} students, {settings.mode}{since}", err=True)
