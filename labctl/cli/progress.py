"""What is told while a run goes on: a live line on a terminal, plain lines elsewhere, events for scripts."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import IO, TYPE_CHECKING, Any, Protocol

import click

from labctl.batch.progress import Progress
from labctl.report import progress_console as console

if TYPE_CHECKING:
    from rich.text import Text

#: The version of the events of --json-lines; docs/staff.md lists them.
EVENTS = 1
#: How often the live line is written, a second.
_REFRESH = 4


class Watching(Protocol):
    """An observer of a grading run that is also told its exit status."""

    def began(self, host: str) -> None: ...

    def ended(self, host: str, document: Mapping[str, Any]) -> None: ...

    def lost(self, host: str, why: str) -> None: ...

    def over(self, status: int) -> None: ...


def tell_event(event: str, *, file: IO[str] | None = None, **facts: Any) -> None:
    """Write one event of --json-lines to stdout, or to ``file``: a JSON object on a line of its own."""
    moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    click.echo(json.dumps({"schema": EVENTS, "event": event, "time": moment, **facts}), file=file)


def has_room(hosts: int) -> bool:
    """Whether stderr is a terminal on which a line can change, and there are several VMs to tell of."""
    return hosts > 1 and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


class StatusLine:
    """The last line of a terminal, which says how far a run is; a context manager.

    What is printed goes above it. It appears with the first :meth:`show`; another one begins to count anew.
    """

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._progress: Progress | None = None
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._live = Live(
            console=self._console, get_renderable=self._text, refresh_per_second=_REFRESH, transient=True
        )

    def __enter__(self) -> StatusLine:
        return self

    def __exit__(self, *_raised: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        self._progress = progress
        self._live.start()

    def print(self, text: str) -> None:
        """Lines that may have colours, and nothing else of a terminal's."""
        from rich.text import Text

        self._console.print(Text.from_ansi(text), soft_wrap=True)

    def _text(self) -> Text:
        from rich.text import Text

        progress = self._progress
        if progress is None:
            return Text()
        return console.status_line(
            done=progress.done,
            total=progress.total,
            running=progress.running,
            failed=progress.failed,
            left=progress.left,
            width=self._console.width,
            colour=not self._console.no_color,
        )


@contextmanager
def observing(run: str, hosts: Sequence[str], forks: int, *, json_lines: bool) -> Iterator[Watching]:
    """Who tells how the run goes: by events on stdout with ``json_lines``, else on stderr.

    What checks print meanwhile goes to stderr: it is no part of what stdout is for.
    """
    progress, stdout = Progress(hosts, forks), sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        if json_lines:
            yield _Events(run, progress, stdout)
        elif has_room(len(hosts)):
            with StatusLine() as line:
                yield _Live(progress, line)
        else:
            yield _Plain(progress, hosts)


class _Plain:
    """A line for each VM."""

    def __init__(self, progress: Progress, hosts: Sequence[str] = ()) -> None:
        self.progress = progress
        if len(hosts) == 1:
            self._line(console.looking_line(hosts[0]))

    def began(self, host: str) -> None:
        self.progress.began(host)

    def ended(self, host: str, document: Mapping[str, Any]) -> None:
        self.progress.ended(host, failed=console.is_problem(document))
        if self.wanted(document):
            done, total = self.progress.done, self.progress.total
            self._line(console.ended_line(done, total, document, self.progress.seconds))

    def lost(self, host: str, why: str) -> None:
        self._line(console.lost_line(host, why))

    def over(self, status: int) -> None:
        pass

    def wanted(self, _document: Mapping[str, Any]) -> bool:
        return True

    def _line(self, text: str) -> None:
        # whoever read this has gone: what is under way is graded and kept all the same
        with contextlib.suppress(BrokenPipeError):
            click.echo(text, err=True)


class _Live(_Plain):
    """One line that changes, and above it a line for each VM with a problem."""

    def __init__(self, progress: Progress, line: StatusLine) -> None:
        super().__init__(progress)
        self._status = line
        line.show(progress)

    def wanted(self, document: Mapping[str, Any]) -> bool:
        return console.is_problem(document)

    def _line(self, text: str) -> None:
        self._status.print(text)


class _Events:
    """One JSON object a line. Threads tell, too: one at a time."""

    def __init__(self, run: str, progress: Progress, out: IO[str]) -> None:
        self.progress = progress
        self._out = out
        self._run = run
        self._lock = threading.Lock()
        self._tell("run-began", hosts=progress.total)

    def began(self, host: str) -> None:
        self.progress.began(host)
        self._tell("vm-began", host=host)

    def ended(self, host: str, document: Mapping[str, Any]) -> None:
        self.progress.ended(host, failed=console.is_problem(document))
        left = self.progress.left
        kept = ("status", "score", "max_score", "error", "error_cause", "restored", "seconds", "tries")
        self._tell(
            "vm-ended",
            host=host,
            **{key: document.get(key) for key in kept},
            done=self.progress.done,
            failed=self.progress.failed,
            left=None if left is None else round(left, 1),
        )

    def lost(self, host: str, why: str) -> None:
        self._tell("vm-lost", host=host, message=why)

    def over(self, status: int) -> None:
        self._tell("run-ended", status=status, done=self.progress.done, failed=self.progress.failed)

    def _tell(self, event: str, **facts: Any) -> None:
        with self._lock, contextlib.suppress(BrokenPipeError):
            tell_event(event, file=self._out, run=self._run, **facts)
