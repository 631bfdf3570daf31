"""What the experiment refuses to touch, because it could not be put back as it was; and what it does not."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from balanced import WORKERS, Balanced, listening
from test_crash_experiment import agent, arm, crash_directly, facts, lab, tell_to_crash, tmux
from waiting import wait_for

from labctl.agent import Agent, Op, start_agent
from labctl.agent.remote.services import streams, unchanged
from labctl.deadline import Deadline
from labctl.inventory import local_host

#: What the fixtures make is as in the tests of the experiment itself.
__all__ = ["agent", "lab"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
]


def refused(agent: Agent, lab: Balanced) -> str:
    args = {"ports": lab.ports, "lease": 20.0, "limit": 30.0}
    return str(agent.call_one(Op("services.arm", args), Deadline.after(10))["refused"])


def restored(agent: Agent) -> bool:
    return bool(agent.call_one(Op("services.restore", {}), Deadline.after(40))["back"])


def goes_and_comes(lab: Balanced, agent: Agent) -> None:
    """All of the workers are ended, and come back as they were, by hand."""
    before = facts(agent, lab)
    assert before[0]["kind"] == "hand"
    arm(agent, lab)
    crash_directly(lab, 6)
    assert restored(agent)
    assert facts(agent, lab) == before
    wait_for(lambda: not lab.watched, "the watcher ends")


def own_copy(lab: Balanced) -> Path:
    """A server.py of the student's own, running from their directory."""
    folder = lab.folder / "home"
    folder.mkdir()
    script = folder / "server.py"
    script.write_bytes(WORKERS.read_bytes())
    os.utime(script, (time.time() - 3600, time.time() - 3600))
    lab.processes.append(
        subprocess.Popen(
            [sys.executable, "-u", "server.py", str(lab.first)], cwd=folder, start_new_session=True
        )
    )
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
    return script


def renamed(script: Path) -> None:
    script.rename(script.with_name("server.old"))


def removed(script: Path) -> None:
    script.unlink()
    script.parent.rmdir()


def edited(script: Path) -> None:
    time.sleep(unchanged.MARGIN + 0.5)
    script.write_text("this is no Python")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (renamed, "server.py is gone"),
        (removed, "is gone"),
        (edited, "server.py was changed since"),
    ],
)
def test_workers_that_could_not_be_started_again_as_they_were_are_not_ended(
    lab: Balanced, agent: Agent, change: Callable[[Path], None], why: str
) -> None:
    script = own_copy(lab)
    assert refused(agent, lab) == ""
    assert restored(agent)
    wait_for(lambda: not lab.watched, "the watcher ends")
    change(script)
    assert why in refused(agent, lab)
    assert listening(lab.ports) == set(lab.ports)


@pytest.mark.parametrize(
    ("words", "script"),
    [
        ("python3 server.py 8080", "server.py"),
        ("/usr/bin/python3.11 -u -W ignore -X dev /opt/lab7/server.py", "/opt/lab7/server.py"),
        ("python3 -m http.server 8080", ""),
        ("python3 -um server", ""),
        ("bash -c ./run.sh", ""),
        ("bash run.sh", "run.sh"),
        ("node --inspect app.js", "app.js"),
        ("nginx -g daemon.off", ""),
        ("python3", ""),
    ],
)
def test_the_file_that_an_interpreter_runs(words: str, script: str) -> None:
    argv = words.split()
    assert unchanged.script_of(argv[0], argv) == script


def test_a_lease_that_has_run_out_is_not_renewed_while_the_workers_are_started(
    lab: Balanced, agent: Agent
) -> None:
    """What came late would end the workers that were just put back, and nobody would start them again."""
    lab.start_workers()
    before = facts(agent, lab)
    arm(agent, lab, lease=1.0)
    crash_directly(lab, 6)
    renewals = []
    while len(listening(lab.ports)) < 6:
        renewals.append(agent.call_one(Op("services.renew", {}), Deadline.after(8)))
        time.sleep(1.1)  # each comes after the lease
    assert all(one.get("failed") for one in renewals[1:])
    told = agent.call_one(Op("services.restore", {}), Deadline.after(30))
    assert (told["back"], told["why"]) == (True, "lease")
    assert facts(agent, lab) == before


@contextmanager
def at_a_prompt(lab: Balanced, *shell: str) -> Iterator[int]:
    """The workers as a job of an interactive shell on a terminal; gives the shell's pid."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(lab.folder)
        os.execvp(shell[0], shell)
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            try:
                os.read(terminal, 4096)
            except OSError:
                return

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    try:
        os.write(terminal, f"{sys.executable} {WORKERS} {lab.first} &\n".encode())
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        yield pid
    finally:
        over.set()
        os.close(terminal)
        for number in (signal.SIGHUP, signal.SIGKILL):
            os.kill(pid, number)
        os.waitpid(pid, 0)


def test_a_shell_with_a_file_of_its_own_is_a_shell(lab: Balanced, agent: Agent) -> None:
    """As in the terminal of an editor: it goes on when a job of it ends."""
    rc = lab.folder / "rc"
    rc.write_text("PS1='$ '\n")
    with at_a_prompt(lab, "bash", "--init-file", str(rc), "-i"):
        goes_and_comes(lab, agent)


def test_a_shell_in_a_tmux_pane_that_was_started_with_words_is_not_started_anew(
    lab: Balanced, agent: Agent
) -> None:
    socket = str(lab.folder / "tmux.sock")
    rc = lab.folder / "rc"
    rc.write_text("PS1='$ '\n")
    shell = f"bash --rcfile {rc}"
    subprocess.run(["tmux", "-S", socket, "new-session", "-d", "-s", "lab", shell], check=True)
    try:
        tmux(socket, "send-keys", f"{sys.executable} {WORKERS} {lab.first}", "Enter")
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        pid = tmux(socket, "display", "-p", "#{pane_pid}")
        before = facts(agent, lab)
        assert before[0]["kind"] == "hand"
        arm(agent, lab)
        crash_directly(lab, 6)
        assert restored(agent)
        assert tmux(socket, "display", "-p", "#{pane_pid}") == pid
        assert facts(agent, lab) == before
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)


def test_a_job_whose_terminal_was_closed_is_as_before(lab: Balanced, agent: Agent) -> None:
    """``python3 server.py &`` and then ``exit``: what it says goes nowhere, before and after."""
    script = f"trap '' HUP; exec {sys.executable} {WORKERS} {lab.first}"
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(lab.folder)
        os.execvp("bash", ["bash", "-c", f'(setsid bash -c "{script}" &) ; sleep 1'])
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
    os.waitpid(pid, 0)
    os.close(terminal)
    before = facts(agent, lab)
    assert [one.split()[0] for one in before[0]["stdio"]] == ["null"] * 3
    arm(agent, lab)
    crash_directly(lab, 6)
    assert restored(agent)
    assert facts(agent, lab) == before


def test_workers_that_talk_into_a_pipe_are_left_alone(lab: Balanced, agent: Agent) -> None:
    line = f"{sys.executable} {WORKERS} {lab.first} | tee {lab.folder}/log"
    pipe = subprocess.Popen(["sh", "-c", f"{line}; true"], cwd=lab.folder, start_new_session=True)
    lab.processes.append(pipe)
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
    assert "goes through a pipe to tee" in refused(agent, lab)
    assert listening(lab.ports) == set(lab.ports)
    os.killpg(pipe.pid, signal.SIGKILL)


def test_root_looks_nothing_up_where_the_worker_would(
    lab: Balanced, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The PATH of a tmux pane is its user's to fill."""
    evil = lab.folder / "evil"
    evil.mkdir()
    for name in ("setpriv", "env"):
        (evil / name).write_text(f'#!/bin/sh\ntouch {evil}/ran-{name}\nexec /usr/bin/{name} "$@"\n')
        (evil / name).chmod(0o755)
    socket = str(lab.folder / "tmux.sock")
    command = f"{sys.executable} {WORKERS} {lab.first}"
    monkeypatch.setenv("PATH", f"{evil}:{os.environ['PATH']}")
    subprocess.run(["tmux", "-S", socket, "new-session", "-d", "-s", "lab", command], check=True)
    try:
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        assert facts(agent, lab)[0]["kind"] == "tmux"
        arm(agent, lab)
        crash_directly(lab, 6)
        assert restored(agent)
        assert list(evil.glob("ran-*")) == []
    finally:
        subprocess.run(["tmux", "-S", socket, "kill-server"], check=False)


def test_only_the_very_file_is_opened_again(tmp_path: Path) -> None:
    log, other = tmp_path / "log", tmp_path / "roots"
    other.write_text("secret\n")

    def written(change: Callable[[], object]) -> str:
        log.unlink(missing_ok=True)
        log.touch()
        with log.open("ab") as handle:
            os.dup2(handle.fileno(), 1001)
        stream = streams.stdio_of(os.getpid(), 1001)
        change()
        number = streams.reopen(stream)
        os.write(number, b"hello\n")
        os.close(number)
        os.close(1001)
        return log.read_text() if log.is_file() else ""

    assert written(lambda: None) == "hello\n"
    assert written(lambda: (log.unlink(), log.symlink_to(other))) == "secret\n", "nothing through a link"
    assert other.read_text() == "secret\n"
    assert written(lambda: (log.unlink(), os.mkfifo(log))) == "", "no pipe is waited for"
    assert written(lambda: (log.unlink(), log.write_text("new\n"))) == "new\n"


def test_a_supervisor_that_restarts_only_what_failed_starts_its_server_again(lab: Balanced) -> None:
    """As supervisord does: what ends with status 0 was meant to."""
    program = (
        "import subprocess, sys\n"
        "while subprocess.Popen(sys.argv[1:], start_new_session=True).wait(): pass\n"
        "import time; time.sleep(600)"
    )
    command = [sys.executable, "-c", program, sys.executable, str(WORKERS), str(lab.first)]
    lab.processes.append(subprocess.Popen(command, cwd=lab.folder, start_new_session=True))
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
    with start_agent(local_host(), Deadline.after(20)) as agent:
        before = facts(agent, lab)
        arm(agent, lab)
        agent.call_one(Op("services.hold", {"units": [], "roots": True}), Deadline.after(10))
        tell_to_crash(lab.ports)
        wait_for(lambda: not listening(lab.ports), "crashed")
        assert restored(agent)
        assert facts(agent, lab) == before
        told = agent.call_one(Op("services.capture", {"ports": lab.ports}), Deadline.after(10))
        assert told["refused"] == ""
    roots = subprocess.run(
        ["pgrep", "-P", str(lab.processes[0].pid), "-f", str(WORKERS)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert roots.stdout.strip(), "the server is the supervisor's child again"
