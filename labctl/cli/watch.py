"""labctl grade --watch: one VM on the screen, looked at again when something changes on it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from labctl.batch import fan_out
from labctl.cli.context import program
from labctl.cli.keys import Keys
from labctl.cli.leaving import interruptible, leave
from labctl.errors import AgentFault, DeadlineExceeded, HostError, Unreachable
from labctl.grading import host_document, lab_document
from labctl.grading.watch import Account, Change, Pace, Watched
from labctl.report.grade_console import render_changes, render_scorecard

if TYPE_CHECKING:
    from labctl.grading import Graded, Plan
    from labctl.grading.watch import Signs
    from labctl.inventory import Host
    from labctl.probes import StaffLink

LATER = "d: judged when you press d"
#: Seconds between two tries to reach a VM that does not answer.
AGAIN = 5.0


def watch(host: Host, plan: Plan, staff: StaffLink) -> int:
    """Until Ctrl-C (status 130) or ``q`` (the status of what was seen last)."""
    screen = _Screen(host, plan, staff)

    def interrupted() -> None:
        plan.stop.set()
        if screen.changing:
            click.echo("interrupted: putting back what was changed", err=True)

    # a second Ctrl-C has nothing more to end
    with interruptible(interrupted, times=1):
        try:
            with Keys() as keys:
                screen.run(keys)
            status = screen.status
        except KeyboardInterrupt:
            click.echo()
            status = 130
        finally:
            screen.vm.close()
            staff.close()
    leave(status)
    return status


class _Screen:
    """``status`` is the exit status for what was seen last."""

    def __init__(self, host: Host, plan: Plan, staff: StaffLink) -> None:
        self.host = host
        self.vm = Watched(host, plan, staff)
        self.plan = plan
        self.account = Account()
        self.pace = Pace()
        self.status = 3
        self._away = ""
        self._told_right = False
        #: Whether an experiment is under way, which Ctrl-C lets restore first.
        self.changing = False
        self.later = {one.id for one in plan.checks if one.disruptive}
        self.looks = [one.id for one in plan.checks if not one.disruptive]

    def run(self, keys: Keys) -> None:
        pause = 0.0
        while True:
            key = keys.wait(pause)
            if key == "q":
                return
            pause = self.pace.pause
            try:
                if key == "d" and self.later:
                    self._change_and_look()
                signs = self._in_thread(lambda _: self.vm.signs())
                self._back()
                why = self.pace.due(time.monotonic(), signs)
                if why:
                    self._look(signs, keys, whole=why == "time")
            except (Unreachable, DeadlineExceeded, AgentFault) as err:
                self._lost(err)
                pause = AGAIN

    def _look(self, before: Signs, keys: Keys, *, whole: bool) -> None:
        """What is not right yet; the ``whole`` shows also what has gone wrong since."""
        first = not self.account.rows
        waiting = [id for id in self.account.open if id not in self.later]
        only = self.looks if whole or not waiting else waiting
        document = self._document(self._in_thread(lambda _: self.vm.look(only)))
        after = self._in_thread(lambda _: self.vm.signs())
        self.pace.looked(time.monotonic(), before, after)
        changes = self.account.add(document)
        if first:
            self._show_all(document, keys)
        self._show(changes)
        self._tell_right(keys)

    def _change_and_look(self) -> None:
        count = len(self.later)
        self._say(f"running everything, with the {count} checks that change the VM and put it back")
        self.changing = True
        graded = self._in_thread(lambda _: self.vm.look_and_change(), patience=None)
        self.changing = False
        document = self._document(graded)
        new = [Change(row, "not judged") for row in document["checks"] if row["id"] not in self.account.rows]
        self._show(new + self.account.add(document), always=True)
        if graded.restored is False:
            self._say("the workers could NOT be shown to run as they did before: look at them")

    def _in_thread(self, work: Callable[[Host], Any], patience: float | None = 0.0) -> Any:
        """``work`` in a thread of its own, so that Ctrl-C need not wait for it; what it raised is raised."""
        outcome = fan_out((self.host,), work, patience=patience)[self.host.name]
        if isinstance(outcome, HostError):
            raise outcome
        return outcome

    def _document(self, graded: Graded) -> dict[str, Any]:
        document = host_document(self.host.name, self.plan.lab, graded)
        document["left_out"] = [
            {**one, "reason": LATER} if one["id"] in self.later else one for one in document["left_out"]
        ]
        return document

    def _show_all(self, document: dict[str, Any], keys: Keys) -> None:
        whole = {**lab_document(self.plan.lab), "hosts": [document]}
        click.echo(render_scorecard(whole, tty=sys.stdout.isatty(), program=program()), nl=False, color=True)
        told = f"Watching {self.host.name}: what changes is shown here. "
        if keys.there:
            told += "d: judge what changes the VM too; " if self.later else ""
            told += "q or Ctrl-C: leave."
        else:
            told += "Ctrl-C leaves."
        click.echo(told)

    def _show(self, changes: Iterable[Change], *, always: bool = False) -> None:
        rows = [(one.row, one.was) for one in changes]
        if rows or always:
            head = f"{_now()}  {self.account.score:g} of {self.account.max_score:g} points"
            text = render_changes(head, rows, tty=sys.stdout.isatty())
            click.echo("\n" + text, nl=False, color=True)
        judged = all(row["verdict"] != "error" for row in self.account.rows.values())
        self.status = (1 if self.account.open else 0) if judged else 3

    def _tell_right(self, keys: Keys) -> None:
        right = all(id in self.later for id in self.account.open)
        if right and not self._told_right:
            rest = ""
            where = "" if self.host.is_local else f" {self.host.name}"
            if self.later - {id for id, row in self.account.rows.items() if row["verdict"] == "pass"}:
                how = "press d" if keys.there else f"run {program()} grade{where}"
                rest = f"; for the {len(self.later)} checks that change the VM for a while, {how}"
            self._say(f"everything that looking can tell is right{rest}")
        self._told_right = right

    def _lost(self, err: HostError) -> None:
        if self._away != err.cause:
            self._say(f"{self.host.name} cannot be looked at: {err.message}; trying again")
            self._away = err.cause
        self.status = 3

    def _back(self) -> None:
        if self._away:
            self._say(f"{self.host.name} answers again")
            self._away = ""
            self.pace = Pace()

    def _say(self, text: str) -> None:
        click.echo(render_changes(f"{_now()}  {text}", (), tty=sys.stdout.isatty()), nl=False, color=True)


def _now() -> str:
    return f"{datetime.now():%H:%M:%S}"
