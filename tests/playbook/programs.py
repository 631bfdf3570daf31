"""What replaces the start of programs in module tests, and nothing else."""

from __future__ import annotations

from typing import Any

from labctl.agent.remote.command import Finished


class Programs:
    """Stands where programs are started: remembers them and answers as told."""

    def __init__(self, *answers: tuple[str, Finished]) -> None:
        self.answers = list(answers)
        self.started: list[list[str]] = []

    def __call__(self, argv: list[str], **_options: Any) -> Finished:
        self.started.append(list(argv))
        line = " ".join(argv)
        for part, answer in self.answers:
            if part in line:
                return answer
        return Finished(0, "", "")

    @property
    def lines(self) -> list[str]:
        return [" ".join(argv) for argv in self.started]
