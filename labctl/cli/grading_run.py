"""The run that labctl grade works on: a new one, or one that was kept and goes on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from labctl.cli.context import Setting
from labctl.cli.limit import chosen, selecting, vm_count
from labctl.cli.results import kept_of, lab_of, results, seen_of
from labctl.errors import RequestError, UnknownHost
from labctl.inventory import Host

if TYPE_CHECKING:
    from labctl.grading import Book, Lab
    from labctl.store import Store


@dataclass(frozen=True)
class Asked:
    """What a run does on its VMs: the same when it is resumed, and for every further attempt."""

    lab: str
    only: tuple[str, ...]
    disrupt: bool
    answers: Path | None = None


@dataclass
class GradingRun:
    """``hosts`` are to be graded now. ``kept``: their results are, which those of this machine alone are not.

    ``store`` is open once the run has begun. ``whole``: its document is to hold what was seen. ``words`` name
    its VMs on a command line, those too that were graded before it was resumed.
    """

    name: str
    started: str
    asked: Asked
    hosts: tuple[Host, ...]
    kept: bool
    database: str | None = None
    store: Store | None = None
    resumes: bool = False
    continues: bool = False
    whole: bool = False
    words: dict[str, str] = field(default_factory=dict)

    @property
    def book(self) -> Book | None:
        from labctl.grading import Book

        if self.store is None:
            return None
        return Book(self.store, self.name, once=self.resumes, whole=self.whole)

    def lab(self, graders: Path) -> Lab:
        """The lab, of a course's ``graders``. Raises CourseError, RequestError where there is none."""
        from labctl.grading import load_lab

        path = graders / self.asked.lab
        if self.continues and not path.is_dir():
            raise RequestError(
                f"the run {self.name} is of the lab {self.asked.lab}, which {graders} has not",
                hint="--course names the course that has it; --run RUN takes another run (see labctl runs)",
            )
        return load_lab(path)

    def begin(self, setting: Setting, lab: Lab, keep: str | None) -> None:
        """Write down that it begins, or goes on."""
        from labctl.grading import lab_document
        from labctl.grading.class_run import identity

        if not self.kept:
            return
        if self.store is None:
            self.store = results(self.database, create=True)
        names = [host.name for host in self.hosts]
        self.words = {host.name: selecting(setting, host) for host in self.hosts}
        where = {"vms": self.words, "at": {host.name: identity(host) for host in self.hosts}}
        if self.continues:
            kept = self.store.about(self.name)["asked"]
            self.words = {**kept.get("vms", {}), **self.words}
            before = kept.get("rubric")
            if before and before != _digest(lab):
                click.echo(
                    f"the points of {lab.name} are others since this run began: "
                    f"labctl regrade {self.name} judges all its VMs by today's",
                    err=True,
                )
            self.store.go_on(self.name, names, keep, asked=where)
            self.store.describe(self.name, lab_document(lab))
            return
        asked = {
            "lab": self.asked.lab,
            "rubric": _digest(lab),
            "only": list(self.asked.only),
            "disrupt": self.asked.disrupt,
            "answers": str(self.asked.answers.absolute()) if self.asked.answers else None,
            **where,
        }
        self.store.begin(self.name, lab_document(lab), self.started, names, keep=keep or "last", asked=asked)

    def finish(self) -> bool:
        """Write down that it is over, if every VM has a result that is kept; else say how to go on.

        With a run that was interrupted too.
        """
        if self.store is None:
            return True
        try:
            if self.store.finish(self.name):
                return True
            left = f"no result yet of {vm_count(len(self.store.waiting(self.name)))} of this run"
        except RequestError as err:
            left = err.message
        click.echo(f"labctl: {left}. What was kept is whole; to go on:", err=True)
        click.echo(f"  labctl grade --resume --run {self.name}", err=True)
        return False

    def hosts_of(self, setting: Setting, names: Iterable[str]) -> list[Host]:
        """The run's hosts of these names; of those graded before it was resumed what is in the inventory."""
        now = {host.name: host for host in self.hosts}
        found: list[Host] = []
        for name in names:
            with contextlib.suppress(RequestError):
                word = self.words.get(name, name)
                found += [now[name]] if name in now else setting.inventory.select([word])
        return found

    def all_of(self, documents: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
        """The VMs to tell of: those graded now, and for a run that was resumed also those before."""
        if self.store is None or not self.resumes:
            return list(documents.values())
        told = []
        try:
            kept = {one.host: one for one in kept_of(self.store, self.name)}
            for name in self.store.about(self.name)["hosts"]:
                if name in kept:
                    seen = {}
                    if now := documents.get(name, {}).get("evidence"):
                        seen = {"evidence": now}
                    elif self.whole:
                        seen = seen_of(self.store, kept[name])
                    told.append({**kept[name].document, **seen})
                elif name in documents:
                    told.append(documents[name])
        except RequestError as err:  # the database is gone: what was found now is there all the same
            click.echo(f"labctl: only the VMs graded now are told of: {err.message}", err=True)
            return list(documents.values())
        return told


def new_run(
    setting: Setting, asked: Asked, vms: Sequence[str], limit: Sequence[str], database: str | None
) -> GradingRun:
    """A run of the VMs named, or of this machine when none is."""
    from labctl.grading import time_text
    from labctl.inventory import local_host

    now = datetime.now(timezone.utc)
    # by their names runs of one second are in order: units of 16 us, and a byte that tells two of one apart
    name = f"{now:%Y%m%dT%H%M%S}-{now.microsecond // 16:04x}{secrets.token_hex(1)}"
    if not vms and not limit:
        return GradingRun(name, time_text(now), asked, (local_host(),), kept=False)
    hosts = chosen(setting, vms, limit)
    return GradingRun(name, time_text(now), asked, hosts, kept=True, database=database)


def earlier_run(
    setting: Setting,
    run: str | None,
    vms: Sequence[str],
    limit: Sequence[str],
    database: str | None,
    *,
    resume: bool,
    answers: Path | None,
) -> GradingRun:
    """A kept run: what is left of it with ``resume``, else another attempt of the VMs named.

    ``answers`` are where the written answers are now, when they are not where they were.
    """
    store = results(database)
    name = store.find(run) if run else store.unfinished()
    about = store.about(name)
    kept = about["asked"]
    before = kept.get("answers")
    if answers and not before:
        raise RequestError(f"the run {name} began without written answers, and goes on without")
    asked = Asked(
        lab_of(about),
        tuple(kept.get("only", ())),
        bool(kept.get("disrupt", True)),
        answers or (Path(before) if before else None),
    )
    if not resume:
        if not vms and not limit:
            raise RequestError(
                "--run is for another attempt of some VMs, and none is named",
                hint=f"labctl grade --resume --run {name} grades those that have no result yet",
            )
        hosts = chosen(setting, vms, limit)
        if before and not answers:
            _check_whose(Path(before), about["hosts"], hosts)
        for told in _elsewhere(kept, hosts):
            click.echo(f"the run {name}: {told}", err=True)
        return GradingRun(name, about["started"], asked, hosts, kept=True, store=store, continues=True)
    if vms or limit:
        raise RequestError(
            "--resume grades the VMs that the run left out, and others were named",
            hint="leave them away; labctl grade VM --run RUN adds an attempt",
        )
    waiting = store.waiting(name)
    if not waiting:
        raise RequestError(
            f"every VM of the run {name} has a result: there is nothing to resume",
            hint=f"labctl show {name}; labctl grade VM --run {name} grades a VM again",
        )
    if not run:
        click.echo(
            f"going on with the run {name} ({about['lab']}): {vm_count(len(waiting))} to grade", err=True
        )
    hosts = _still_there(setting, [kept.get("vms", {}).get(one, one) for one in waiting])
    if before and not answers:
        _check_whose(Path(before), about["hosts"], hosts)
    elsewhere = _elsewhere(kept, hosts)
    if elsewhere:
        raise RequestError(
            f"the run {name} may be of other VMs with the same names: {elsewhere[0]}",
            hint="-i names the run's inventory; if it is the same student's VM, name it: "
            f"labctl grade {elsewhere[0].partition(' ')[0]} --run {name}",
        )
    return GradingRun(
        name, about["started"], asked, hosts, kept=True, store=store, resumes=True, continues=True
    )


def _elsewhere(kept: Mapping[str, Any], hosts: Sequence[Host]) -> list[str]:
    """What to say of each host that is reached elsewhere than the run's VM of its name was."""
    from labctl.grading.class_run import identity

    at = kept.get("at", {})  # which a run of an earlier labctl has not
    pairs = [(host.name, at.get(host.name), identity(host)) for host in hosts]
    return [
        f"{name} was {before}, and is {now} now" for name, before, now in pairs if before not in (None, now)
    ]


def _check_whose(path: Path, began_with: Sequence[str], hosts: Sequence[Host]) -> None:
    """One VM's file of answers, with which a run of it alone began, is nobody else's. Raises RequestError."""
    others = [host.name for host in hosts if host.name != began_with[0]]
    if others and not path.is_dir():
        raise RequestError(
            f"this run's answers, {path}, are those of {began_with[0]}, not of {others[0]}",
            hint="--answers FILE says where this VM's are",
        )


def _still_there(setting: Setting, names: Sequence[str]) -> tuple[Host, ...]:
    """The hosts that a run left out; those that the inventory has lost since are told."""
    hosts: list[Host] = []
    for name in names:
        try:
            hosts += setting.inventory.select([name])
        except UnknownHost as err:
            if len(names) == 1:
                raise
            click.echo(f"left out: {err.message}", err=True)
    if not hosts:
        raise RequestError("none of the VMs that the run left out is in this inventory", hint="-i names it")
    return tuple(hosts)


def _digest(lab: Lab) -> str:
    """What tells whether two grades of a lab were given by the same points."""
    points = {one.id: [one.points, dict(one.parts)] for one in lab.checks}
    return hashlib.sha256(json.dumps(points, sort_keys=True).encode()).hexdigest()[:16]
