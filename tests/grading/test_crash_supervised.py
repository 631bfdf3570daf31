"""Workers that a student's own loop starts again: held while the balancer is looked at, as before after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from balanced import WORKERS, Balanced, holders, listening, wait_for
from test_crash_experiment import agent, arm, crash_directly, facts, gone, lab, run, tmux

from labctl.agent import Agent, Op, start_agent
from labctl.deadline import Deadline
from labctl.inventory import local_host

#: What the fixtures make is as in the tests of the experiment itself.
__all__ = ["agent", "lab"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
]

#: What students write so that their server comes back: a loop, one that is patient, one that ends when the
#: server fails, a program.
LOOPS = {
    "loop": "while true; do {}; done",
    "patient": "while true; do {}; sleep 1; done",
    "until-it-fails": "while {}; do :; done",
    "program": sys.executable
    + " -c 'import subprocess as s\nwhile True: s.Popen(\"{}\".split(), start_new_session=True).wait()'",
}


@pytest.fixture
def loop(lab: Balanced, request: pytest.FixtureRequest) -> Iterator[int]:
    """The pid of a supervisor that has started the workers; the parameter is one of LOOPS."""
    line = LOOPS[request.param].format(f"{sys.executable} {WORKERS} {lab.first}")
    started = subprocess.Popen(["sh", "-c", f"{line}\ntrue"], cwd=lab.folder, start_new_session=True)
    lab.processes.append(started)
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
    yield started.pid
    # all of it first: what is left would start workers again
    os.killpg(started.pid, signal.SIGKILL)


def lineage(pid: int) -> list[int]:
    line = []
    while pid > 1:
        line.append(pid)
        pid = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    return line


def stopped(lab: Balanced) -> list[int]:
    """The processes above and below the workers' loop that are stopped."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, words = int(path.parent.name), path.read_text().rpartition(")")[2].split()
            line = (path.parent / "cmdline").read_bytes().decode()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if words[0] == "T" and (str(WORKERS) in line and str(lab.first) in line):
            found.append(pid)
    return found


@pytest.mark.parametrize("loop", ["loop", "program"], indirect=True)
def test_a_loop_that_starts_the_workers_again_is_waited_out(lab: Balanced, agent: Agent, loop: int) -> None:
    lab.start_balancer()
    before = facts(agent, lab)
    report = run(lab, agent)
    assert (report.refused, report.problems, report.broken_off) == ("", (), "")
    assert report.staying == ()
    assert [reply.status for reply in report.empty.replies] == [503, 503]
    assert report.restored
    assert report.up.reached
    assert facts(agent, lab) == before
    assert all(loop in lineage(pid) for pid in holders(lab.ports))
    assert stopped(lab) == []


def hold(agent: Agent) -> list[int]:
    told = agent.call_one(
        Op("services.hold", {"units": [], "roots": True}, deadline=10, isolated=True), Deadline.after(15)
    )
    return list(told["held"])


@pytest.mark.parametrize(
    ("loop", "count"),
    [("loop", 0), ("patient", 6), ("until-it-fails", 6)],
    indirect=["loop"],
    ids=["nothing-crashed", "patient", "until-it-fails"],
)
def test_a_loop_that_was_waited_out_goes_on_when_the_grader_is_gone(
    lab: Balanced, loop: int, count: int
) -> None:
    with start_agent(local_host(), Deadline.after(20)) as victim:
        before = facts(victim, lab)
        workers = holders(lab.ports)
        watcher = arm(victim, lab)
        (root,) = hold(victim)
        wait_for(lambda: stopped(lab) == [root], "the root has stopped")
        crash_directly(lab, count)
        os.kill(victim.hello.pid, signal.SIGKILL)
        wait_for(lambda: gone(watcher), "the watcher ends", 40)
    assert listening(lab.ports) == set(lab.ports)
    assert stopped(lab) == []
    if count == 0:
        assert holders(lab.ports) == workers
    assert all(loop in lineage(pid) for pid in holders(lab.ports))
    with start_agent(local_host(), Deadline.after(20)) as again:
        wait_for(lambda: facts(again, lab) == before, "the same as before")


def test_a_loop_at_a_prompt_is_not_touched(lab: Balanced, agent: Agent) -> None:
    """A shell with job control would hear that its job was stopped, and end its loop."""
    socket = str(lab.folder / "tmux.sock")
    subprocess.run(["tmux", "-S", socket, "new-session", "-d", "-s", "lab", "bash --norc"], check=True)
    try:
        line = f"while true; do {sys.executable} {WORKERS} {lab.first}; done"
        tmux(socket, "send-keys", line, "Enter")
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        before = facts(agent, lab)
        arm(agent, lab)
        assert hold(agent) == []
        crash_directly(lab, 5)
        assert agent.call_one(Op("services.restore", {}), Deadline.after(30))["back"]
        assert facts(agent, lab) == before
        assert stopped(lab) == []
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)
