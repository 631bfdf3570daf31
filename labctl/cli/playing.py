"""What is told while playbooks run: lines as things happen, on a terminal one that says how far it is."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import click

from labctl import vault
from labctl.batch.progress import Progress
from labctl.cli.progress import StatusLine, has_room, tell_event
from labctl.playbook import TaskResult
from labctl.playbook.engine import Observer
from labctl.report import progress_console
from labctl.report import setup_console as console


class Playing(Observer, Protocol):
    """An observer of a run that is also told its exit status, with the summary of all VMs."""

    def over(self, summary: Mapping[str, Any], status: int) -> None: ...


@contextmanager
def playing(
    hosts: int, forks: int, *, json_lines: bool, diff: bool, verbose: bool, counts: bool
) -> Iterator[Playing]:
    """Who tells how a run over so many hosts goes: by events on stdout with ``json_lines``, else on stderr.

    ``counts``: what runs tells of each VM's beginning and end.
    """
    if json_lines:
        yield _Events(verbose=verbose)
    elif counts and has_room(hosts):
        with StatusLine() as line:
            yield _Live(line, forks, diff=diff, verbose=verbose)
    else:
        yield _Lines(forks, diff=diff, verbose=verbose)


class _Lines:
    """A line for each task of each VM, and where there are several VMs one for each that is done."""

    def __init__(self, forks: int, *, diff: bool, verbose: bool) -> None:
        self.forks = forks
        self.diff = diff
        self.verbose = verbose
        self.colour = console.wants_colour(sys.stderr)
        self.width = console.width_of(sys.stderr)
        self.progress = Progress((), forks)

    def play(self, name: str, hosts: Sequence[str]) -> None:
        self.progress = Progress(hosts, self.forks)
        self.line(console.play_line(name, len(hosts)))

    def began(self, host: str) -> None:
        self.progress.began(host)

    def task(self, host: str, result: TaskResult) -> None:
        document = result.document(verbose=self.verbose)
        self.line(
            console.task_lines(
                host, document, diff=self.diff, verbose=self.verbose, colour=self.colour, width=self.width
            )
        )

    def host_lost(self, host: str, cause: str, message: str, hint: str) -> None:
        self.line(console.lost_lines(host, cause, message, hint, colour=self.colour))

    def ended(self, host: str, summary: Mapping[str, Any]) -> None:
        self.progress.ended(host, failed=summary["status"] != "ok")
        if self.progress.total > 1:
            done, total = self.progress.done, self.progress.total
            told = console.outcome(summary)
            self.line(progress_console.done_line(done, total, self.progress.seconds, host, told))

    def over(self, summary: Mapping[str, Any], status: int) -> None:
        pass

    def line(self, text: str) -> None:
        click.echo(text, err=True, color=self.colour)


class _Live(_Lines):
    """One line that changes, above it one for each VM with a problem, of which a new kind is told whole."""

    def __init__(self, status: StatusLine, forks: int, *, diff: bool, verbose: bool) -> None:
        super().__init__(forks, diff=diff, verbose=verbose)
        self._status = status
        self._told: set[str] = set()

    def play(self, name: str, hosts: Sequence[str]) -> None:
        super().play(name, hosts)
        self._status.show(self.progress)

    def task(self, host: str, result: TaskResult) -> None:
        if self.verbose or (self.diff and result.diff):
            super().task(host, result)
        elif result.status == "failed" and not result.ignored:
            if self._is_new(result.place):
                super().task(host, result)
            else:
                told = f"{result.name}: {result.msg}"
                self.line(console.problem_line(host, "failed", vault.masked(told), colour=self.colour))

    def host_lost(self, host: str, cause: str, message: str, hint: str) -> None:
        if self._is_new(cause):
            super().host_lost(host, cause, message, hint)
        else:
            self.line(console.problem_line(host, cause, message, colour=self.colour))

    def ended(self, host: str, summary: Mapping[str, Any]) -> None:
        self.progress.ended(host, failed=summary["status"] != "ok")

    def line(self, text: str) -> None:
        self._status.print(text)

    def _is_new(self, kind: str) -> bool:
        is_new = kind not in self._told
        self._told.add(kind)
        return is_new


class _Events:
    """One JSON object a line on stdout for each event."""

    def __init__(self, *, verbose: bool) -> None:
        self.verbose = verbose

    def play(self, name: str, hosts: Sequence[str]) -> None:
        tell_event("play-began", play=name, hosts=list(hosts))

    def began(self, host: str) -> None:
        pass

    def task(self, host: str, result: TaskResult) -> None:
        tell_event("task-ended", host=host, **result.document(verbose=self.verbose))

    def host_lost(self, host: str, cause: str, message: str, hint: str) -> None:
        tell_event("vm-lost", host=host, cause=cause, error=vault.masked(message), hint=vault.masked(hint))

    def ended(self, host: str, summary: Mapping[str, Any]) -> None:
        """It may have a part in the next play, too: its event is told when all are over."""

    def over(self, summary: Mapping[str, Any], status: int) -> None:
        for host in summary["hosts"]:
            tell_event("vm-ended", **host)
        tell_event("run-ended", status=status)
