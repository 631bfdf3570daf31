"""Ways in which a run ends in the middle of its crash experiment, and what the VM is compared by."""

from __future__ import annotations

import difflib
import json
import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from solved import Solved
from vms import environment, lost
from waiting import comes

#: The promise: seconds from the cut until the workers are as they were.
WITHIN = 60.0
#: Only the experiment and what it needs.
_GRADE = ("--only", "lb.recovered", "--only", "lb.crash-down")
_SERVER = re.compile(rb"\S*python3\0\S*server\.py\0\Z")
#: systemd sets these anew at each start.
_VOLATILE = (b"INVOCATION_ID=", b"JOURNAL_STREAM=", b"SYSTEMD_EXEC_PID=", b"MEMORY_PRESSURE_")


@dataclass(frozen=True)
class Trial:
    """How the workers run (``unit``, ``tmux``, ``nohup``), what ends the run, and when.

    ``moment`` is in seconds from when the first worker is seen to be gone; before that when negative.
    """

    how: str
    cut: str
    moment: float

    def __str__(self) -> str:
        return f"{self.how}, {self.cut} {self.moment:+.2f} s"


@dataclass(frozen=True)
class Outcome:
    """``down`` is how many workers were down at the cut, ``armed`` whether the undo was armed, ``seconds``
    when they were back as they were.

    ``problems`` is empty when all was as promised.
    """

    down: int
    armed: bool
    seconds: float
    problems: tuple[str, ...]


def workers_of(init: int) -> list[tuple[Any, ...]]:
    """How the lab's servers in the container of process ``init`` run, read from this machine's /proc.

    What labctl itself compares by is not asked: this is to find what that misses. No pids in it.
    """
    inside = os.readlink(f"/proc/{init}/ns/pid")
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes()
            if _SERVER.match(words) and os.readlink(entry / "ns/pid") == inside:
                found.append(_facts(entry, words))
    return sorted(found)


def _facts(entry: Path, words: bytes) -> tuple[Any, ...]:
    status = (entry / "status").read_text()
    kept = [
        line
        for line in status.splitlines()
        if line.startswith(("Uid:", "Gid:", "Groups:", "Umask:", "SigIgn:", "SigBlk:", "NoNewPrivs:"))
    ]
    environ = (entry / "environ").read_bytes().split(b"\0")
    return (
        words,
        *kept,
        sorted(one for one in environ if not one.startswith(_VOLATILE)),
        os.readlink(entry / "cwd"),
        os.readlink(entry / "exe"),
        (entry / "cgroup").read_text(),
        # sudo takes core files from the agent, and root in a container cannot give them to others
        *(line for line in (entry / "limits").read_text().splitlines() if not line.startswith("Max core")),
        # a pane gets a new terminal, and a unit a new socket of the journal's, each time that it starts
        *(
            re.sub(r"(?<=/dev/pts/)\d+|(?<=socket:\[)\d+", "", os.readlink(entry / "fd" / str(n)))
            for n in range(3)
        ),
    )


def listening(init: int) -> int:
    """How many of the six workers listen."""
    ports = set()
    for line in Path(f"/proc/{init}/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            ports.add(int(fields[1].rpartition(":")[2], 16))
    return len(ports & set(range(8080, 8086)))


def watched(init: int) -> bool:
    """Some run's undo is at work there."""
    return b"@labctl-undo-" in Path(f"/proc/{init}/net/unix").read_bytes()


def kill_labctl(_lab: Solved, grade: subprocess.Popen[str]) -> None:
    grade.send_signal(signal.SIGKILL)


def kill_agent(lab: Solved, grade: subprocess.Popen[str]) -> None:
    """As soon as there is one. Not its watcher: that has another parent by then."""
    comes(lambda: _kill_agents(lab) > 0 or grade.poll() is not None, 60)


def _kill_agents(lab: Solved) -> int:
    killed = 0
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            parent = re.search(
                r"^PPid:\s*(\d+)", (entry / "status").read_text(errors="replace"), re.MULTILINE
            )
            if (
                os.readlink(entry / "ns/pid") == os.readlink(f"/proc/{lab.init}/ns/pid")
                and (entry / "comm").read_bytes().startswith(b"python3")
                and parent
                and Path("/proc", parent.group(1), "comm").read_bytes() == b"sudo\n"
            ):
                os.kill(int(entry.name), signal.SIGKILL)
                killed += 1
    return killed


def cut_connection(lab: Solved, _grade: subprocess.Popen[str]) -> None:
    """Packets go nowhere, both ways, and nobody is told."""
    lab.disconnect()


CUTS: dict[str, Callable[[Solved, subprocess.Popen[str]], None]] = {
    "labctl killed": kill_labctl,
    "agent killed": kill_agent,
    "connection lost": cut_connection,
}
HOWS = ("unit", "tmux", "nohup")


def random_trials(seed: int, count: int, longest: float) -> list[Trial]:
    """Every cut of every way of running in turn, each at a moment of its own.

    ``longest`` is how many seconds the workers are away in an experiment that nobody disturbs.
    """
    dice = random.Random(seed)
    kinds = [(how, cut) for cut in CUTS for how in HOWS]
    return [Trial(*kinds[n % len(kinds)], dice.uniform(-2.0, longest + 1.0)) for n in range(count)]


def undisturbed(lab: Solved) -> tuple[float, float]:
    """Seconds from the start of a run until the first worker is gone, and from then until all are back."""
    began = time.monotonic()
    grade = begin(lab)
    comes(lambda: listening(lab.init) < 6, 60)
    gone = time.monotonic()
    comes(lambda: listening(lab.init) == 6, 120)
    back = time.monotonic()
    out, err = grade.communicate(timeout=120)
    assert grade.returncode == 0, lost(out) + err
    return gone - began, back - gone


def attempt(lab: Solved, trial: Trial, first: float) -> Outcome:
    """Begin a run, cut it off at the trial's moment, and see what becomes of the workers.

    ``first`` is how many seconds after its start a run crashes the first worker.
    """
    lab.workers(trial.how)
    before = workers_of(lab.init)
    assert len(before) == 7, before
    grade = begin(lab)
    try:
        if trial.moment < 0:
            time.sleep(max(0.0, first + trial.moment))
        elif comes(lambda: listening(lab.init) < 6 or grade.poll() is not None, 60):
            time.sleep(trial.moment)
        down, armed = 6 - listening(lab.init), watched(lab.init)
        CUTS[trial.cut](lab, grade)
        cut = time.monotonic()
        # as they were, and nobody is at work on them any more: then it stays so
        whole = comes(
            lambda: not watched(lab.init) and listening(lab.init) == 6 and workers_of(lab.init) == before,
            WITHIN,
        )
        seconds = time.monotonic() - cut
        problems = [] if whole else [f"not as before after {WITHIN:.0f} s", *_difference(lab, before)]
        problems += _verdict(lab, grade, trial, cut)
        if workers_of(lab.init) != before:
            problems += ["changed afterwards", *_difference(lab, before)]
    finally:
        grade.kill()
        grade.communicate()
        lab.connect()
    return Outcome(down, armed, round(seconds, 1), tuple(problems))


def _verdict(lab: Solved, grade: subprocess.Popen[str], trial: Trial, cut: float) -> list[str]:
    """What the run itself came to: by its deadline, and never to a FAIL."""
    try:
        out, err = grade.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        return ["the run did not end by its deadline"]
    if trial.cut == "labctl killed":
        return []
    if "Traceback" in err:
        return [err[-600:]]
    (host,) = json.loads(out)["hosts"]
    failed = [f"{one['id']}: {one['seen']}" for one in host["checks"] if one["verdict"] == "fail"]
    problems = [f"a FAIL without a fault: {one}" for one in failed]
    if trial.cut == "agent killed" and host["restored"] is False:
        problems.append("the run could not show that the workers are back")
    return problems


def begin(lab: Solved) -> subprocess.Popen[str]:
    return subprocess.Popen(
        lab.argv(*_GRADE), env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def _difference(lab: Solved, before: list[tuple[Any, ...]]) -> list[str]:
    now = workers_of(lab.init)
    lines = difflib.unified_diff(_lines(before), _lines(now), "before", "now", lineterm="", n=0)
    return list(lines)[:20]


def _lines(workers: list[tuple[Any, ...]]) -> list[str]:
    return [str(fact) for one in workers for fact in one]
