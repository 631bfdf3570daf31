"""The crash experiment for real, on this machine: real workers, a real HAProxy, a real agent, real kills."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from balanced import WORKERS, Balanced, balanced, holders, listening
from waiting import wait_for

from labctl.agent import Agent, Op, start_agent
from labctl.deadline import Deadline
from labctl.errors import HostError
from labctl.grading.experiments import Bench, crash
from labctl.inventory import local_host
from labctl.probes import CrashReport, Observer, StaffLink

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Balanced]:
    with balanced(tmp_path) as made:
        yield made


@pytest.fixture
def agent(lab: Balanced) -> Iterator[Agent]:
    with start_agent(local_host(), Deadline.after(20)) as started:
        yield started


def arguments(lab: Balanced, down_within: float = 10.0) -> dict[str, object]:
    return {
        "workers": lab.ports,
        "balancer": lab.door,
        "crash_path": "/crash",
        "crash_says": r"Crashing ID (\d+)!",
        "stats": lab.stats,
        "stats_path": "/stats;csv",
        "proxy": "kitchen",
        "servers": 6,
        "down_within": down_within,
        "up_within": 10.0,
        "config": lab.socket_line,
    }


def run(lab: Balanced, agent: Agent, stop: threading.Event | None = None) -> CrashReport:
    bench = Bench(Observer(agent, StaffLink(None)), stop or threading.Event(), agents=[agent])
    return crash(bench, arguments(lab), Deadline.after(110))


def facts(agent: Agent, lab: Balanced) -> Any:
    told = agent.call_one(Op("services.capture", {"ports": lab.ports}), Deadline.after(10))
    assert told["refused"] == ""
    return told["groups"]


def arm(agent: Agent, lab: Balanced, lease: float = 30.0, limit: float = 60.0) -> int:
    args = {"ports": lab.ports, "lease": lease, "limit": limit}
    told = agent.call_one(Op("services.arm", args), Deadline.after(10))
    assert told["refused"] == ""
    return int(told["watcher"])


def tell_to_crash(ports: list[int]) -> None:
    from labctl.probes.http import sample_outside

    for port in ports:
        args = {"address": "127.0.0.1", "port": port, "path": "/crash", "count": 1, "wait": 2.0, "body": 100}
        assert "Crashing" in sample_outside(args, 5).replies[0].body


def crash_directly(lab: Balanced, count: int) -> None:
    """These stay down: nobody who could start them again is free to."""
    tell_to_crash(lab.ports[:count])
    wait_for(lambda: len(listening(lab.ports)) == 6 - count, "crashed")


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_the_whole_experiment(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    lab.start_balancer()
    before = facts(agent, lab)
    report = run(lab, agent)
    assert report.refused == ""
    assert report.crash.replies[0].body.startswith("Crashing ID")
    assert report.down.reached
    assert {reply.status for reply in report.rotation.replies} == {200}
    assert len({reply.body for reply in report.rotation.replies}) == 5
    assert [reply.status for reply in report.empty.replies] == [503, 503]
    assert report.before == report.after
    assert report.restored
    assert report.problems == ()
    assert report.up.reached
    assert [one.status for one in report.up.servers] == ["UP"] * 6
    assert facts(agent, lab) == before


def test_a_worker_that_ends_some_time_after_its_answer_is_waited_for(lab: Balanced, agent: Agent) -> None:
    """Asked in that time the balancer rightly answers 200, and the 503 would be missed."""
    lab.start_workers(linger=2.0)
    lab.start_balancer()
    report = run(lab, agent)
    assert [reply.status for reply in report.empty.replies] == [503, 503]
    assert report.staying == ()
    assert report.restored


def test_nothing_is_broken_when_a_worker_is_missing_beforehand(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    lab.start_balancer()
    crash_directly(lab, 1)
    report = run(lab, agent)
    assert "nothing listens on" in report.refused
    assert len(listening(lab.ports)) == 5


def test_an_interrupt_restores_first(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    lab.start_balancer(check="")  # never DOWN: the experiment waits
    before = facts(agent, lab)
    stop = threading.Event()
    threading.Timer(1.5, stop.set).start()
    bench = Bench(Observer(agent, StaffLink(None)), stop, agents=[agent])
    with pytest.raises(HostError, match="interrupted"):
        crash(bench, arguments(lab), Deadline.after(110))
    assert bench.restored is True
    assert listening(lab.ports) == set(lab.ports)
    assert facts(agent, lab) == before


def test_the_agent_lost_in_the_middle_judges_nothing_and_the_vm_is_shown_to_be_whole(lab: Balanced) -> None:
    lab.start_workers()
    lab.start_balancer(check="")
    first = start_agent(local_host(), Deadline.after(20))
    before = facts(first, lab)
    bench = Bench(Observer(first, StaffLink(None)), threading.Event(), agents=[first])
    threading.Timer(2.0, os.kill, [first.hello.pid, signal.SIGKILL]).start()
    report = crash(bench, arguments(lab), Deadline.after(110))
    assert "agent-fault" in report.broken_off
    assert report.before == report.after != ()
    assert bench.restored is True
    assert len(bench.agents) == 2
    assert facts(bench.agent, lab) == before
    bench.leave()


@pytest.mark.parametrize("count", [1, 6], ids=["one", "all"])
def test_the_agent_killed_with_workers_down(lab: Balanced, count: int) -> None:
    lab.start_workers()
    with start_agent(local_host(), Deadline.after(20)) as victim:
        before = facts(victim, lab)
        arm(victim, lab)
        crash_directly(lab, count)
        os.kill(victim.hello.pid, signal.SIGKILL)
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "workers back after the agent died")
    with start_agent(local_host(), Deadline.after(20)) as again:
        wait_for(lambda: facts(again, lab) == before, "the same as before")


def test_the_lease_runs_out(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    before = facts(agent, lab)
    watcher = arm(agent, lab, lease=1.0)
    crash_directly(lab, 6)
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "workers back after the lease")
    wait_for(lambda: gone(watcher), "the watcher ends")
    renewed = agent.call_one(Op("services.renew", {}), Deadline.after(5))
    assert renewed == {"failed": True, "msg": "the undo is not armed any more"}
    told = agent.call_one(Op("services.restore", {}), Deadline.after(20))
    assert (told["back"], told["why"]) == (True, "lease")
    assert facts(agent, lab) == before


def test_others_know_of_an_experiment_and_begin_none_beside_it(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    arm(agent, lab)
    with start_agent(local_host(), Deadline.after(20)) as other:
        assert other.hello.unsettled
        told = other.call_one(
            Op("services.arm", {"ports": lab.ports, "lease": 5, "limit": 5}), Deadline.after(10)
        )
        assert "another run" in told["refused"]
        told = other.call_one(Op("services.settled", {}, deadline=1.5), Deadline.after(9))
        assert told == {"waits_for": "the crash experiment of another run"}
        crash_directly(lab, 6)
        agent.close()
        told = other.call_one(Op("services.settled", {}, deadline=30), Deadline.after(40))
        assert told == {"waits_for": ""}
        assert listening(lab.ports) == set(lab.ports)


def test_renewing_keeps_the_watcher_waiting_and_the_limit_ends_it(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    arm(agent, lab, lease=4.0, limit=12.0)
    crash_directly(lab, 1)
    for _ in range(4):
        time.sleep(1.5)
        assert agent.call_one(Op("services.renew", {}), Deadline.after(5)) == {"renewed": True}
        assert len(listening(lab.ports)) == 5
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "workers back after the limit")


def test_workers_that_nothing_happened_to_are_left_alone(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    arm(agent, lab)
    pids = holders(lab.ports)
    told = agent.call_one(Op("services.restore", {}), Deadline.after(20))
    assert told == {"back": True, "restarted": [], "problems": [], "why": "asked"}
    assert holders(lab.ports) == pids


def test_a_supervisor_of_the_students_own_is_not_raced(lab: Balanced, agent: Agent) -> None:
    """A shell loop starts the server again: two servers would fight for the ports."""
    line = f"while true; do {sys.executable} {WORKERS} {lab.first}; sleep 0.3; done"
    loop = subprocess.Popen(["sh", "-c", line], cwd=lab.folder, start_new_session=True)
    lab.processes.append(loop)
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
    arm(agent, lab)
    crash_directly(lab, 3)
    told = agent.call_one(Op("services.restore", {}), Deadline.after(30))
    assert told["back"]
    roots = agent.call_one(Op("services.capture", {"ports": lab.ports}), Deadline.after(10))["groups"]
    assert len(roots) == 1
    time.sleep(1.0)
    assert listening(lab.ports) == set(lab.ports)


@pytest.mark.parametrize(
    "how", ["{}", "exec {}", "true; {}; true"], ids=["program", "exec", "through-a-shell"]
)
def test_the_program_of_a_tmux_pane_gets_its_pane_back(lab: Balanced, agent: Agent, how: str) -> None:
    """When the pane's program ends, the session and tmux itself would go with it."""
    socket = str(lab.folder / "tmux.sock")
    command = how.format(f"{sys.executable} {WORKERS} {lab.first}")
    subprocess.run(
        ["tmux", "-S", socket, "new-session", "-d", "-s", "lab", command], check=True, cwd=lab.folder
    )
    try:
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        lab.start_balancer()
        before = facts(agent, lab)
        assert before[0]["kind"] == "tmux"
        server = tmux(socket, "display", "-p", "#{pid} #{session_created}")
        report = run(lab, agent)
        assert (report.refused, report.problems, report.restored) == ("", (), True)
        assert facts(agent, lab) == before
        assert tmux(socket, "display", "-p", "#{pid} #{session_created}") == server
        assert tmux(socket, "show-options", "-p") == ""
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)


def test_a_shell_in_a_tmux_pane_keeps_its_terminal(lab: Balanced, agent: Agent) -> None:
    socket = str(lab.folder / "tmux.sock")
    subprocess.run(["tmux", "-S", socket, "new-session", "-d", "-s", "lab", "bash --norc"], check=True)
    try:
        tmux(socket, "send-keys", f"{sys.executable} {WORKERS} {lab.first}", "Enter")
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        before = facts(agent, lab)
        assert before[0]["kind"] == "hand"
        arm(agent, lab)
        crash_directly(lab, 6)
        assert agent.call_one(Op("services.restore", {}), Deadline.after(30))["back"]
        assert facts(agent, lab) == before
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)


def test_workers_whose_terminal_would_close_are_left_alone(lab: Balanced, agent: Agent) -> None:
    """As with screen, or ssh -t: nothing here could give them their terminal back."""
    import pty

    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, str(WORKERS), str(lab.first)])
    try:
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        told = agent.call_one(
            Op("services.arm", {"ports": lab.ports, "lease": 5, "limit": 5}), Deadline.after(10)
        )
        assert "terminal" in told["refused"]
        assert listening(lab.ports) == set(lab.ports)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)


def tmux(socket: str, *words: str) -> str:
    done = subprocess.run(["tmux", "-S", socket, *words], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_port_held_by_an_ancestor_of_the_agent_is_refused(agent: Agent) -> None:
    """The pytest process itself listens: to stop it would be to stop whoever asks."""
    import socket

    with socket.socket() as link:
        link.bind(("127.0.0.1", 0))
        link.listen()
        port = link.getsockname()[1]
        told = agent.call_one(
            Op("services.arm", {"ports": [port], "lease": 5, "limit": 5}), Deadline.after(10)
        )
    assert "must not be stopped" in told["refused"]
    assert told["watcher"] == 0


def test_limits_of_their_own_are_kept(lab: Balanced, agent: Agent) -> None:
    lab.start_workers(prefix=["prlimit", "--fsize=1000000:2000000", "--nofile=300:400", "--core=0:0"])
    before = limits(lab)
    arm(agent, lab)
    crash_directly(lab, 6)
    assert agent.call_one(Op("services.restore", {}), Deadline.after(30))["back"]
    assert limits(lab) == before
    assert any("2000000" in line for line in before)


def limits(lab: Balanced) -> list[str]:
    (text,) = {Path(f"/proc/{pid}/limits").read_text() for pid in holders(lab.ports)}
    return text.splitlines()


def test_what_leaves_the_vm_holds_no_environment(lab: Balanced, agent: Agent) -> None:
    lab.start_workers()
    assert "swordfish" not in str(facts(agent, lab))
