"""labctl export: a kept run in the form that Gradescope, a gradebook, CI or a browser wants."""

from __future__ import annotations

import hashlib
import re
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.context import Setting
from labctl.cli.options import course_option, database_option, inventory_option, vault_options
from labctl.cli.output import remove_output, write_output
from labctl.cli.results import check_vm_of, kept_of, results, seen_of
from labctl.errors import HostError, RequestError
from labctl.report.formats import FORMATS, only
from labctl.report.text import plain

if TYPE_CHECKING:
    from labctl.inventory import Host, Inventory
    from labctl.report.formats import Format
    from labctl.store import Store

#: A file's name has room for 255 bytes; a letter beyond ASCII takes nine of them when it is quoted.
_LONGEST = 200


class NotGraded(HostError):
    """The run ended before this VM's turn."""

    cause = "not-graded"


@click.command()
@click.argument("run")
@click.argument("vm", required=False)
@click.option("--format", "name", type=click.Choice(list(FORMATS)), required=True, help="The form.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    help="The file to write; for gradescope and a run of several VMs, a directory of files.",
)
@click.option("--partial", is_flag=True, help="Also as grades, what was found with --only or --no-disrupt.")
@inventory_option
@course_option
@vault_options
@database_option
def export(
    run: str,
    vm: str | None,
    name: str,
    output: Path,
    partial: bool,
    inventory: tuple[Path, ...],
    course: Path | None,
    database: str | None,
) -> int:
    """Write a kept run, or one of its VMs, in another form.

    RUN is a run's id or the beginning of it, or: last. The class list, when the inventory has one, gives
    the students' names, addresses and numbers.
    """
    store = results(database)
    form = FORMATS[name]
    setting = Setting.current(inventory, course)
    document = run_of(store, store.find(run), vm, setting.inventory, evidence=form.evidence)
    if form.grades and not partial:
        _check_whole(document)
    missing = [host["host"] for host in document["hosts"] if host["score"] is None]
    if form.each:
        written = _write_each(document, form, output, single=vm is not None)
    else:
        write_output(output, form.render(document))
        written = len(document["hosts"])
    click.echo(f"{output}: {written} of {len(document['hosts'])} VMs", err=True)
    if missing:
        what = "no file was written for" if form.each else "written without a score:"
        click.echo(f"no complete grade, {what} {', '.join(missing[:10])}", err=True)
        if len(missing) > 10:
            click.echo(f"  and {len(missing) - 10} more", err=True)
    return 3 if missing or any("evidence_error" in host for host in document["hosts"]) else 0


def _check_whole(document: Mapping[str, Any]) -> None:
    """Raises RequestError when whoever began the run left checks out: its points are no grade."""
    from labctl.grading import NOT_ASKED

    for host in document["hosts"]:
        left_out = [one["id"] for one in host["left_out"] if one["reason"] == NOT_ASKED]
        if left_out:
            raise RequestError(
                f"the run {document['run']} left out {len(left_out)} checks of {host['host']}, such as "
                f"{left_out[0]}: its points are not the whole lab's",
                hint="labctl runs lists the others; --partial writes it all the same",
            )


def run_of(store: Store, run: str, vm: str | None, inventory: Inventory, *, evidence: bool) -> dict[str, Any]:
    """The document that formats render: every VM of the run, in its order, with student and, where it is
    wanted, evidence, and their statistics. Tells of a VM that is another student's by now, which has none, of
    one without a student where others have one, and of one whose evidence is damaged, which has an
    ``evidence_error``."""
    from labctl.grading import handed_over, lost_document
    from labctl.grading.statistics import statistics

    about = store.about(run)
    if vm is not None:
        check_vm_of(about, vm)
    attempts = {one.host: one for one in kept_of(store, run, vm)}
    hosts = []
    nameless = []
    for name in about["hosts"] if vm is None else [vm]:
        attempt = attempts.get(name)
        if attempt is None:
            hint = f"labctl grade {name}"
            row: dict[str, Any] = lost_document(name, NotGraded("the run ended before its turn", hint=hint))
        else:
            row = {**attempt.document, "attempt": attempt.attempt, "kind": attempt.kind}
            row |= seen_of(store, attempt) if evidence else {}
        # of the run's VMs alone: what is wrong with another in the inventory is not this run's matter
        owner = inventory.hosts.get(name)
        other = handed_over(owner, row) if owner else ""
        student = student_of(owner) if owner else {}
        if other:
            told = f"{name} was graded for {other}, and the inventory has another student there now"
            click.echo(f"{plain(told, multiline=False)}: written without a student", err=True)
        elif student:
            row["student"] = student
        elif not student:
            nameless.append(name)
        hosts.append(row)
    if nameless and any("student" in row for row in hosts):
        more = f" and {len(nameless) - 10} more" if len(nameless) > 10 else ""
        named = plain(", ".join(nameless[:10]), multiline=False)
        click.echo(f"without a student, as the inventory names none for them: {named}{more}", err=True)
    return {"schema": 1, **about, "hosts": hosts, "statistics": statistics(hosts)}


def student_of(host: Host) -> dict[str, str]:
    """``name``, ``email``, ``sid`` and ``user`` as the class list has them; what it lacks is left out."""
    values = {key: host.value(f"student_{key}") for key in ("name", "email", "sid", "user")}
    # what a template made may be a number or a date: better as it is than not at all
    texts = {key: value for key, value in values.items() if value is not None}
    return {key: str(value) for key, value in texts.items() if not isinstance(value, list | dict)}


def _write_each(document: Mapping[str, Any], form: Format, output: Path, *, single: bool) -> int:
    """A file for each VM with a complete grade, named after it; how many."""
    good = [host for host in document["hosts"] if host["score"] is not None]
    if single or len(document["hosts"]) == 1:
        paths = [output] * len(document["hosts"])
    else:
        if output.exists() and not output.is_dir():
            raise RequestError(f"{output} is a file: a run of several VMs becomes a directory of files")
        try:
            output.mkdir(exist_ok=True)
        except OSError as err:
            raise RequestError(f"cannot make the directory {output}: {err.strerror}") from err
        paths = [output / _file_name(host["host"], form.ending) for host in document["hosts"]]
        others = sorted(path.name for path in output.glob(f"*{form.ending}") if path not in paths)
        if others:
            more = f" and {len(others) - 5} more" if len(others) > 5 else ""
            named = plain(", ".join(others[:5]), multiline=False)
            click.echo(f"{output}: not of this run, and still there: {named}{more}", err=True)
    for host, path in zip(document["hosts"], paths, strict=True):
        if host["score"] is None:
            remove_output(path)  # of another run: it would be taken for this one's
        else:
            write_output(path, form.render(only(document, host)))
    return len(good)


def _file_name(host: str, ending: str) -> str:
    """A VM's file: a VM named on the command line may hold @ and :, and must not leave the directory."""
    name = re.sub(r"^\.", "%2E", urllib.parse.quote(host, safe="@:"))
    if len(name) > _LONGEST:
        digest = hashlib.sha256(host.encode()).hexdigest()[:16]
        name = f"{re.sub('%.?$', '', name[: _LONGEST - 17])}-{digest}"
    return name + ending
