"""Workers that a student's own loop starts again: held while the balancer is looked at, as before after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from balanced import WORKERS, Balanced, holders, listening
from test_crash_experiment import agent, arm, crash_directly, facts, gone, lab, run, tell_to_crash, tmux
from waiting import wait_for

from labctl.agent import Agent, Op, start_agent
from labctl.deadline import Deadline
from labctl.inventory import local_host

#: What the fixtures make is as in the tests of the experiment itself.
__all__ = ["agent", "lab"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
]

#: A server of one worker and one process.
SINGLE = f'{sys.executable} -c \'import sys; sys.path[0] = "{WORKERS.parent}"; import workers; ' + (
    "workers.work(int(sys.argv[1]), int(sys.argv[2]), 0.05)'"
)
#: What students write so that their server comes back: a loop, one that is patient, one that ends when the
#: server fails, a program, a loop for each worker.
LOOPS = {
    "loop": "while true; do {}; done",
    "patient": "while true; do {}; sleep 1; done",
    "until-it-fails": "while {}; do :; done",
    "program": sys.executable
    + " -c 'import subprocess as s\nwhile True: s.Popen(\"{}\".split(), start_new_session=True).wait()'",
    "each-its-own": "for n in 0 1 2 3 4 5; do while true; do " + SINGLE + " {first} $n; done & done; wait",
}


@pytest.fixture
def loop(lab: Balanced, request: pytest.FixtureRequest) -> Iterator[int]:
    """The pid of a supervisor that has started the workers; the parameter is one of LOOPS."""
    line = LOOPS[request.param].format(f"{sys.executable} {WORKERS} {lab.first}", first=lab.first)
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


def held(lab: Balanced) -> list[int]:
    """The processes of the workers and of their loop that are kept from running."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:  # names of other processes, a container's too, may be any bytes
            stopped = (path / "stat").read_bytes().rpartition(b")")[2].split()[0] == b"T"
            frozen = b"/labctl-held-" in (path / "cgroup").read_bytes()
            line = (path / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if (stopped or frozen) and str(lab.first).encode() in line:
            found.append(int(path.name))
    return found


def groups(lab: Balanced) -> list[Path]:
    """The cgroups in which processes of this lab are held: containers may hold others meanwhile."""
    return list(Path("/sys/fs/cgroup").glob(f"**/labctl-held-{lab.first}-*"))


@pytest.mark.parametrize("loop", ["loop", "program", "each-its-own"], indirect=True)
def test_a_loop_that_starts_the_workers_again_is_waited_out(lab: Balanced, agent: Agent, loop: int) -> None:
    lab.start_balancer()
    judged_and_left_as_it_was(lab, agent, loop)


def judged_and_left_as_it_was(lab: Balanced, agent: Agent, loop: int) -> None:
    """The workers were down for as long as the experiment needs, and ``loop`` runs them again."""
    before = facts(agent, lab)
    report = run(lab, agent)
    assert (report.refused, report.problems, report.broken_off) == ("", (), "")
    assert report.down.reached
    assert report.staying == ()
    assert [reply.status for reply in report.empty.replies] == [503, 503]
    assert report.restored
    assert report.up.reached
    assert facts(agent, lab) == before
    assert all(loop in lineage(pid) for pid in holders(lab.ports))
    assert (held(lab), groups(lab)) == ([], [])


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
        assert held(lab) == [root]
        crash_directly(lab, count)
        os.kill(victim.hello.pid, signal.SIGKILL)
        wait_for(lambda: gone(watcher), "the watcher ends")
    assert listening(lab.ports) == set(lab.ports)
    assert held(lab) == []
    if count == 0:
        assert holders(lab.ports) == workers
    assert all(loop in lineage(pid) for pid in holders(lab.ports))
    with start_agent(local_host(), Deadline.after(20)) as again:
        wait_for(lambda: facts(again, lab) == before, "the same as before")


@pytest.fixture
def prompt(lab: Balanced) -> Iterator[str]:
    """The socket of a tmux with a login's shell at its prompt: it has no arguments."""
    socket = str(lab.folder / "tmux.sock")
    shell = f"HOME={lab.folder} exec bash -c 'exec -a -bash bash'"
    subprocess.run(["tmux", "-S", socket, "new-session", "-d", "-s", "lab", shell], check=True)
    yield socket
    subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)


def typed(lab: Balanced, prompt: str, line: str) -> None:
    tmux(
        prompt, "send-keys", line.format(f"{sys.executable} {WORKERS} {lab.first}", first=lab.first), "Enter"
    )
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")


@pytest.mark.parametrize("line", [LOOPS["loop"], LOOPS["each-its-own"]], ids=["loop", "each-its-own"])
def test_a_loop_typed_at_a_prompt_is_waited_out_unheard(
    lab: Balanced, agent: Agent, prompt: str, line: str
) -> None:
    """A shell with job control would hear that its job was stopped, and end its loop."""
    typed(lab, prompt, line)
    lab.start_balancer()
    judged_and_left_as_it_was(lab, agent, int(tmux(prompt, "display", "-p", "#{pane_pid}")))
    assert "Stopped" not in tmux(prompt, "capture-pane", "-p")


def test_a_loop_at_a_prompt_goes_on_when_the_grader_is_gone(lab: Balanced, prompt: str) -> None:
    typed(lab, prompt, LOOPS["loop"])
    with start_agent(local_host(), Deadline.after(20)) as victim:
        before = facts(victim, lab)
        watcher = arm(victim, lab)
        (root,) = hold(victim)
        assert held(lab) == [root]
        crash_directly(lab, 6)
        os.kill(victim.hello.pid, signal.SIGKILL)
        wait_for(lambda: gone(watcher), "the watcher ends")
    assert (held(lab), groups(lab)) == ([], [])
    with start_agent(local_host(), Deadline.after(20)) as again:
        wait_for(lambda: facts(again, lab) == before, "the same as before")


@pytest.mark.parametrize("loop", ["loop"], indirect=True)
def test_who_was_left_held_is_let_go_of_by_the_next_experiment(lab: Balanced, loop: int) -> None:
    """Root on the VM can kill the watcher too: then nobody is there to undo anything."""
    with start_agent(local_host(), Deadline.after(20)) as victim:
        watcher = arm(victim, lab)
        (root,) = hold(victim)
        os.kill(watcher, signal.SIGKILL)
        wait_for(lambda: not lab.watched, "the watcher is gone")
    assert (held(lab), len(groups(lab))) == ([root], 1)
    with start_agent(local_host(), Deadline.after(20)) as again:
        arm(again, lab)
        assert held(lab) == []
        before = holders(lab.ports)
        tell_to_crash(lab.ports)
        wait_for(lambda: not before & holders(lab.ports), "crashed, and perhaps begun again by now")
        assert again.call_one(Op("services.restore", {}), Deadline.after(30))["back"]
    assert (held(lab), groups(lab)) == ([], [])
    assert all(loop in lineage(pid) for pid in holders(lab.ports))


def test_the_shell_that_somebody_types_into_is_never_held(lab: Balanced, agent: Agent, prompt: str) -> None:
    """It is what would have to be held where it starts a worker that is a process of its own."""
    typed(lab, prompt, "for n in 0 1 2 3 4 5; do " + SINGLE + " {first} $n & done")
    arm(agent, lab)
    assert hold(agent) == []
    tmux(prompt, "send-keys", "echo still-$((40 + 2))", "Enter")
    wait_for(lambda: "still-42" in tmux(prompt, "capture-pane", "-p"), "the shell answers")
    assert held(lab) == []
    assert agent.call_one(Op("services.restore", {}), Deadline.after(30))["restarted"] == []


@pytest.fixture
def without_freezer(lab: Balanced) -> Iterator[Agent]:
    """An agent that sees no cgroups of version 2, as on a kernel before 5.2."""
    python = lab.folder / "python3"
    unmount = "umount -l $(findmnt -n -o TARGET -t cgroup2)"
    python.write_text(f'#!/bin/sh\nexec unshare -m sh -c \'{unmount}; exec {sys.executable} "$@"\' sh "$@"\n')
    python.chmod(0o755)
    host = local_host(ansible_python_interpreter=str(python))
    with start_agent(host, Deadline.after(20)) as started:
        yield started


@pytest.mark.parametrize("loop", ["loop"], indirect=True)
def test_without_a_freezer_a_script_s_server_is_stopped(
    lab: Balanced, without_freezer: Agent, loop: int
) -> None:
    arm(without_freezer, lab)
    (root,) = hold(without_freezer)
    wait_for(lambda: held(lab) == [root], "the root has stopped")
    crash_directly(lab, 6)
    assert without_freezer.call_one(Op("services.restore", {}), Deadline.after(30))["back"]
    assert held(lab) == []
    assert all(loop in lineage(pid) for pid in holders(lab.ports))


def test_without_a_freezer_a_loop_at_a_prompt_is_not_touched(
    lab: Balanced, without_freezer: Agent, prompt: str
) -> None:
    """A shell with job control would hear that its job was stopped, and end its loop."""
    typed(lab, prompt, LOOPS["loop"])
    arm(without_freezer, lab)
    assert hold(without_freezer) == []
    crash_directly(lab, 5)
    assert without_freezer.call_one(Op("services.restore", {}), Deadline.after(30))["back"]
    shell = int(tmux(prompt, "display", "-p", "#{pane_pid}"))
    assert all(shell in lineage(pid) for pid in holders(lab.ports))
    assert held(lab) == []


def test_what_could_not_be_held_is_seen_to_have_come_back(
    lab: Balanced, without_freezer: Agent, prompt: str
) -> None:
    typed(lab, prompt, LOOPS["loop"])
    arm(without_freezer, lab)
    came_back = Op("services.came_back", {}, isolated=True)
    assert without_freezer.call_one(came_back, Deadline.after(10)) == {"ports": []}
    crash_directly(lab, 5)
    assert without_freezer.call_one(came_back, Deadline.after(10)) == {"ports": []}
    args = {
        "address": "127.0.0.1",
        "port": lab.ports[5],
        "path": "/crash",
        "count": 1,
        "wait": 2.0,
        "body": 9,
    }
    without_freezer.call_one(Op("probes.http", args), Deadline.after(10))
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "the loop has started them again")
    assert without_freezer.call_one(came_back, Deadline.after(10)) == {"ports": lab.ports}
    assert without_freezer.call_one(Op("services.restore", {}), Deadline.after(30))["back"]
