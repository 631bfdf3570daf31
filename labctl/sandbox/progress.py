"""How work that takes long tells its caller what it is doing."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Progress:
    """One line of progress: step ``done`` of ``total`` begins (or, ``done == total``, is over).

    ``seconds`` is how long the job called ``job`` has been running.
    """

    job: str
    what: str
    seconds: float
    done: int
    total: int

    def __str__(self) -> str:
        return f"{self.job}: [{self.done}/{self.total}] {self.seconds:5.1f} s  {self.what}"


Reporter = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The reporter of a caller that does not want to know."""


@dataclass
class Steps:
    """Counts the steps of one job and stamps each with the time since the job began."""

    job: str
    total: int
    report: Reporter
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    def step(self, what: str) -> None:
        """The next step begins."""
        self.done = min(self.done + 1, self.total)
        self.note(what)

    def note(self, what: str) -> None:
        """Say something without counting a step."""
        self.report(Progress(self.job, what, time.monotonic() - self.began, self.done, self.total))
