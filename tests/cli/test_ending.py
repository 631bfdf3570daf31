"""How a command line ends when its surroundings are not as usual: streams, Ctrl-C, the working directory."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from openssh import key_pair
from tiny import Course
from vms import LABCTL, environment

pytestmark = pytest.mark.slow


def run(
    *args: str, before: Callable[[], None] | None = None, cwd: Path | None = None, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [*LABCTL, *args],
        env={**environment(), **variables},
        preexec_fn=before,
        cwd=cwd,
        capture_output=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("args", [["lab", "list"], ["--help"], ["lab", "--help"], ["lab", "show", "lab7"]])
def test_output_that_nobody_reads_any_more_ends_it_with_141_and_in_silence(args: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*LABCTL, *args], env=environment(), stdout=writing, stderr=subprocess.PIPE, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, b"")


def test_who_reads_no_scorecard_gets_the_file_and_the_receipts_all_the_same(tmp_path: Path) -> None:
    course = Course(tmp_path, 2)
    course.inventory(dict.fromkeys(course.names, "ansible_connection: local, lab_user: nobody-here"))
    keys = ["--keys", str(tmp_path / "keys")]
    assert run("gradescope", "key", "--new", *keys).returncode == 0
    file = tmp_path / "grades.json"
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*LABCTL, *course.grade("all", "--deliver", *keys, "-o", str(file))],
            env=environment(),
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == 141
    assert [host["host"] for host in json.loads(file.read_text())["hosts"]] == course.names
    assert done.stderr.count(b"vm0: ") == 2  # its grade, and what came of its receipt

    done = run(*course.grade("all", "--deliver", *keys, "-o", "/dev/full"))
    assert (done.returncode, b"cannot write /dev/full" in done.stderr) == (2, True)
    assert done.stderr.count(b"vm0: ") == 2


@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_closed_streams_stop_no_command(closed: tuple[int, ...]) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    done = run("lab", "list", before=close)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b"lab7" in done.stdout) is (1 not in closed)


def test_a_file_never_gets_the_number_of_a_closed_stream(tmp_path: Path) -> None:
    """What is printed would be written into it."""
    code = (
        "import os; from labctl.cli import _prepare_streams; _prepare_streams(); "
        "print('text', flush=True); number = os.open('file', os.O_CREAT | os.O_RDWR); os._exit(number)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], preexec_fn=lambda: os.closerange(0, 3), cwd=tmp_path, check=False
    )
    assert done.returncode > 2
    assert (tmp_path / "file").read_bytes() == b""


_BAR = """
import sys
import click
import labctl.cli.runs
labctl.cli.runs.results = lambda _database: (click.echo("VMs 3 █"), sys.exit(0))
from labctl.cli import main
main(["runs"])
"""


def test_a_letter_that_the_terminal_does_not_have_stops_no_command() -> None:
    variables = {**environment(), "PYTHONIOENCODING": "latin-1"}
    done = subprocess.run([sys.executable, "-c", _BAR], env=variables, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"VMs 3 ?\n", b"")


_SLOW = """
import sys, time
import labctl.cli.runs
labctl.cli.runs.results = lambda _database: (print("now", flush=True), time.sleep(60))
from labctl.cli import main
sys.exit(main(["runs"]))
"""


@pytest.mark.parametrize("times", [1, 2, 200])
def test_ctrl_c_ends_every_command_with_130_however_often_it_is_pressed(times: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _SLOW],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # these tests may have been started where Ctrl-C is ignored, as by nohup
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"now\n"
        for _ in range(times):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
            time.sleep(0.002)
        _, err = process.communicate(timeout=30)
    assert (process.returncode, err.split()) == (130, [b"interrupted"])


@pytest.mark.parametrize(
    "args", [["hosts", "ping"], ["hosts", "trust"], ["services"], ["grade"], ["grade", "--watch"]]
)
def test_ctrl_c_does_not_wait_for_a_vm_that_does_not_answer(args: list[str], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        key_pair(tmp_path / "id")
        where = f"ansible_host: 127.0.0.1, ansible_port: {silent.getsockname()[1]}"
        where += f", ansible_ssh_private_key_file: {tmp_path / 'id'}"
        (tmp_path / "hosts.yml").write_text(f"all: {{hosts: {{vm: {{{where}}}}}}}")
        with subprocess.Popen(
            [*LABCTL, *args, "vm", "-i", str(tmp_path / "hosts.yml")],
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads
        ) as process:
            silent.settimeout(30)
            client, _ = silent.accept()
            with client:
                time.sleep(0.5)
                started = time.monotonic()
                process.send_signal(signal.SIGINT)
                process.communicate(timeout=60)
                assert process.returncode == 130
                assert time.monotonic() - started < 30


@pytest.mark.parametrize("args", [["lab", "list"], ["hosts", "list"], ["grade"], ["lab", "new", "x"]])
def test_a_working_directory_that_was_removed_is_said(tmp_path: Path, args: list[str]) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = run(*args, before=gone.rmdir, cwd=gone)
    assert done.returncode == 2
    assert b"the working directory is not there any more\n  it was removed; " in done.stderr
