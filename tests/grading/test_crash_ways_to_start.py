"""Ways in which students start workers: put back as they were, or left alone where that is not certain."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from balanced import WORKERS, Balanced, holders, listening
from test_crash_experiment import agent, facts, lab
from test_crash_safety import edited, goes_and_comes, refused
from waiting import wait_for

from labctl.agent import Agent
from labctl.agent.remote.command import Finished
from labctl.agent.remote.services import cgroups, processes, unchanged
from labctl.agent.remote.services.wrappers import Process, broken_link

#: What the fixtures make is as in the tests of the experiment itself.
__all__ = ["agent", "lab"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.root,
]

PYTHON = "/usr/bin/python3.11"


def process(line: str, exe: str = "", started: int = 0, cwd: str = "/") -> Process:
    words = line.split()
    return Process(words, exe or (PYTHON if "python3" in words[0] else words[0]), cwd, started)


SERVER = process("python3 server.py")


@pytest.mark.parametrize(
    ("above", "sure"),
    [
        ("/usr/bin/sudo -u student python3 server.py", True),
        ("/bin/bash -lc cd;python3 server.py", True),
        ("/bin/bash start.sh", True),
        ("/bin/bash other.sh", False),
        ("/bin/bash none.sh", False),
        ("python3 program.py", True),
        ("python3 /usr/bin/supervisord -n -c conf/supervisord.conf", True),
        ("python3 /usr/bin/supervisord -n -c conf/off.conf", False),
        ("/usr/sbin/cron -f", False),
        ("/usr/sbin/atd -f", False),
        ("/usr/bin/ttyd bash", False),
        ("python3 /usr/bin/jupyter-lab", False),
        ("/usr/bin/run myserver.py", False),
    ],
)
def test_what_a_unit_starts_by_a_name_that_is_written_down_comes_again(
    tmp_path: Path, above: str, sure: bool
) -> None:
    (tmp_path / "conf" / "d").mkdir(parents=True)
    written = {
        "start.sh": "#!/bin/bash\nexec 2> log\npython3 $PWD/server.py\n",
        "other.sh": "#!/bin/bash server.py\n$@\n",
        "program.py": 'Popen([sys.executable, "server.py"])',
        "conf/supervisord.conf": "[include]\nfiles = d/*.conf e/*.conf\n",
        "conf/d/lab.conf": "[program:lab]\ncommand=python3 server.py\n",
        "conf/off.conf": "[program:lab]\ncommand=python3 server.py\nautostart = false\n",
    }
    for name, text in written.items():
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1, 1))
    main = process(above, cwd=str(tmp_path))
    assert (broken_link([main, SERVER]) == "") is sure
    # one that forked, and a shell between that names nothing
    assert (broken_link([main, main, SERVER]) == "") is sure
    assert broken_link([main, process("/bin/sh -i"), SERVER])


def test_a_wrapper_that_was_changed_since_is_not_what_ran(tmp_path: Path) -> None:
    (tmp_path / "start.sh").write_text("python3 server.py\n")
    line = [process("/bin/bash start.sh", cwd=str(tmp_path)), SERVER]
    assert "start.sh was changed" in broken_link(line)


def test_workers_of_one_program_need_no_name() -> None:
    spawned = Process(["python3", "-c", "from multiprocessing.spawn import spawn_main"], PYTHON, "/", 0)
    assert broken_link([SERVER, spawned]) == ""
    nginx = "/usr/sbin/nginx"
    assert broken_link([process("nginx: master", nginx), process("nginx: worker", nginx)]) == ""
    assert broken_link([process("python3 other.py"), SERVER])


@contextmanager
def below(lab: Balanced, *argv: str) -> Iterator[tuple[int, int]]:
    """The workers below a program as a unit has it; the pids of that and of their root."""
    main = subprocess.Popen(argv, cwd=lab.folder, start_new_session=True)
    lab.processes.append(main)
    wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
    try:
        yield main.pid, processes.root_of(min(holders(lab.ports)))
    finally:
        end([main.pid])


@pytest.fixture
def manager(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[str, str]]:
    """What the agent says of who runs a process, where systemd says that ``main`` is a service's."""

    def ask(main: int, root: int, *others: int) -> tuple[str, str]:
        told = Finished(0, f"MainPID={main}\nActiveState=active\n", "")
        monkeypatch.setattr(processes, "run_command", lambda *_, **__: told)
        members = {*processes.family_of(main), *others}
        monkeypatch.setattr(cgroups, "members", lambda _: members)
        return processes.manager_of(root, "/system.slice/some.service", 5.0)

    return ask


def test_a_job_of_a_service_is_not_the_service(lab: Balanced, manager: Callable[..., object]) -> None:
    """As below cron and at: started again they would not start it."""
    wait = "import subprocess, sys; subprocess.Popen(sys.stdin.readline().split()).wait()"
    (lab.folder / "job").write_text(f"{sys.executable} {WORKERS} {lab.first}\n")
    crond = ["sh", "-c", f"{sys.executable} -c '{wait}' < job; true"]
    with (
        below(lab, *crond) as (main, root),
        pytest.raises(processes.Uncapturable, match="may not start it again"),
    ):
        manager(main, root)


def test_a_wrapper_s_server_is_the_service_s(lab: Balanced, manager: Callable[..., object]) -> None:
    with below(lab, "sh", "-c", f"{sys.executable} {WORKERS} {lab.first}; true") as (main, root):
        assert manager(main, root) == ("unit", "some.service")
        assert manager(root, root) == ("unit", "some.service")
        with pytest.raises(processes.Uncapturable, match="others that would end with it"):
            manager(main, root, 1)


def test_a_shell_on_a_terminal_of_a_service_is_its_user_s(
    lab: Balanced, manager: Callable[..., object]
) -> None:
    """As in a browser: the service opens a shell, and who types there is somebody else."""
    line = f"{sys.executable} {WORKERS} {lab.first} &\n"
    program = (
        "import os, pty, sys\npid, fd = pty.fork()\n"
        "if pid == 0: os.execvp('bash', ['bash', '--norc', '-i'])\n"
        "os.write(fd, sys.argv[1].encode())\nwhile True: os.read(fd, 999)"
    )
    with below(lab, sys.executable, "-c", program, line) as (main, root):
        assert manager(main, root) == ("hand", "")


@contextmanager
def line(lab: Balanced, text: str) -> Iterator[None]:
    """The workers as a shell's line starts them."""
    words = text.format(python=sys.executable, workers=WORKERS, first=lab.first)
    shell = subprocess.Popen(["bash", "-c", f"{words}\ntrue"], cwd=lab.folder, start_new_session=True)
    lab.processes.append(shell)
    try:
        wait_for(lambda: listening(lab.ports) == set(lab.ports), "six workers")
        yield
    finally:
        wait_for(lambda: not lab.watched, "the watcher ends")
        # the root first, which would start workers again; not all of these are called like the workers
        end(sorted({processes.root_of(pid) for pid in holders(lab.ports)}))
        with suppress(ProcessLookupError):
            os.killpg(shell.pid, signal.SIGKILL)


def end(roots: list[int]) -> None:
    for pid in [one for root in roots for one in processes.family_of(root)]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


READS = (
    f"{sys.executable} -c 'import subprocess, sys; subprocess.run(sys.argv[1:], capture_output=True)' "
    "{python} {workers} {first}"
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("cat {workers} | nohup {python} - {first} > log 2>&1 &", "read its program from its standard input"),
        ("{python} - {first} << END > log &\n$(cat {workers})\nEND", "read its program from"),
        ("sleep 600 | {python} {workers} {first} > log", "through a pipe from sleep"),
        ("flock -n lock {python} {workers} {first} > log < /dev/null", "holds a lock on"),
        (READS, "which would end with it"),
    ],
    ids=["piped", "here-document", "reads-a-pipe", "flock", "read-by-a-program"],
)
def test_what_could_not_be_had_again_is_left_alone(lab: Balanced, agent: Agent, text: str, why: str) -> None:
    with line(lab, text):
        pids = holders(lab.ports)
        assert why in refused(agent, lab)
        assert holders(lab.ports) == pids


def test_a_program_from_a_file_on_stdin_comes_back_if_it_is_still_that_file(
    lab: Balanced, agent: Agent
) -> None:
    own = lab.folder / "server.py"
    own.write_bytes(WORKERS.read_bytes())
    os.utime(own, (1, 1))
    with line(lab, "nohup {python} - {first} < server.py > log 2>&1 &"):
        goes_and_comes(lab, agent)
        edited(own)
        assert "read its program from" in refused(agent, lab)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("python3 {workers} {first} > log 2>&1 < /dev/null &", "python3"),
        ("./lab-server {first} > log 2>&1 < /dev/null &", "lab-server"),
        ("./my-python {workers} {first} > log 2>&1 < /dev/null &", "my-python"),
    ],
    ids=["by-a-link", "by-its-first-line", "by-a-link-of-their-own"],
)
def test_workers_are_called_as_before(lab: Balanced, agent: Agent, text: str, name: str) -> None:
    """``pkill python3`` goes by the name of the path that was run, not by that of the program."""
    program = os.path.realpath(sys.executable)
    (lab.folder / "my-python").symlink_to(program)
    own = lab.folder / "lab-server"
    own.write_text(f"#!{program} -u\n{WORKERS.read_text()}")
    own.chmod(0o755)
    os.utime(own, (1, 1))
    with line(lab, text):
        assert facts(agent, lab)[0]["comm"] == name
        goes_and_comes(lab, agent)


@pytest.mark.parametrize(
    ("words", "stdin"),
    [
        ("python3", True),
        ("python3 -u -", True),
        ("python3 /dev/stdin", True),
        ("bash -s 8080", True),
        ("python3 -s server.py", False),
        ("python3 server", False),
        ("python3 -m http.server", False),
        ("node -e 1", False),
        ("nginx", False),
    ],
)
def test_a_program_that_an_interpreter_reads_from_its_standard_input(words: str, stdin: bool) -> None:
    argv = words.split()
    assert unchanged.from_stdin(argv[0], argv) is stdin
