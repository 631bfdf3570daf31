"""Whole processes, timed in turn: wall, CPU of the process and its children, peak memory of the tree."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LONGEST = 900.0
#: The variable with the directory for a run's control sockets.
CONTROL_PATHS = "ANSIBLE_SSH_CONTROL_PATH_DIR"
_LOOK_EVERY = 0.25


@dataclass(frozen=True)
class Contender:
    """A command. ``rounds`` bounds how often one that takes minutes is run; it ends with one of ``statuses``
    when it has done its work.
    """

    name: str
    argv: Sequence[str]
    environment: dict[str, str] = field(default_factory=dict)
    stdin: Path = Path(os.devnull)
    rounds: int = 1000
    statuses: tuple[int, ...] = (0,)


@dataclass(frozen=True)
class Sample:
    """Seconds, seconds, MB."""

    wall: float
    cpu: float
    memory: float


def run(one: Contender, memory: bool = False) -> Sample:
    """Run it once; the benchmark ends when it fails. ``memory`` is only watched where it is asked for."""
    # a folder of its own for control sockets: each run makes its own connection
    scratch = tempfile.mkdtemp(prefix="bench-")
    own = {CONTROL_PATHS: scratch}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    try:
        with one.stdin.open("rb") as stdin, tempfile.TemporaryFile() as said:
            # a session of its own: what it started ends with it
            process = subprocess.Popen(
                one.argv,
                stdin=stdin,
                stdout=said,
                stderr=said,
                env={**os.environ, **own, **one.environment},
                start_new_session=True,
            )
            watch = _Watch(process.pid if memory else None)
            status: int | None = None  # longer than that: its time is at least this
            try:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    status = process.wait(LONGEST)
            finally:
                # Ansible's workers are in sessions of their own
                late = _tree(process.pid) if process.returncode is None else []
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                for pid in late:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                process.wait()
                watch.stop()
            wall = time.perf_counter() - began
            if status is not None and status not in one.statuses:
                said.seek(0)
                sys.exit(f"{one.name} ended with status {status}:\n{said.read().decode()[-4000:]}")
    finally:
        _close_masters(Path(scratch))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Sample(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, watch.peak)


def _close_masters(scratch: Path) -> None:
    """End the connections that a run left open for a next one."""
    for socket in scratch.iterdir():
        subprocess.run(["ssh", "-O", "exit", "-S", socket, "any"], capture_output=True, check=False)
    shutil.rmtree(scratch, ignore_errors=True)


class _Watch:
    """Looks now and then at how much memory a process and its descendants have, shared pages once."""

    def __init__(self, pid: int | None) -> None:
        self.peak = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, args=(pid,), daemon=True) if pid else None
        if self._thread:
            self._thread.start()

    def _look(self, pid: int) -> None:
        while not self._over.wait(_LOOK_EVERY):
            self.peak = max(self.peak, sum(_memory(one) for one in _tree(pid)))

    def stop(self) -> None:
        self._over.set()
        if self._thread:
            self._thread.join()


def _tree(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue  # it has just ended
    return found


def _memory(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass  # it has just ended
    return 0.0


def in_turn(
    every: Sequence[Contender],
    rounds: int,
    say: Callable[[str], None],
    before_each: Callable[[], object] = lambda: None,
    memory: bool = False,
) -> dict[str, list[Sample]]:
    """``rounds`` times each, one after the other: whatever else the machine does hits all of them."""
    found: dict[str, list[Sample]] = {one.name: [] for one in every}
    for number in range(rounds):
        for one in every:
            if number < one.rounds:
                before_each()
                found[one.name].append(run(one, memory))
                say(f"  round {number + 1} of {rounds}: {one.name} {found[one.name][-1].wall:.2f} s")
    return found


def ratio(one: Sequence[Sample], other: Sequence[Sample]) -> float:
    """How many times as long ``one`` takes, round by round: a machine's slow minute cancels out."""
    return statistics.median(a.wall / b.wall for a, b in zip(one, other, strict=False))


def median(samples: Sequence[Sample], figure: str) -> float:
    return statistics.median(getattr(one, figure) for one in samples)
