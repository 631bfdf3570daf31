"""What a student runs, on a real VM: labctl.pyz on the VM itself, and ``labctl grade --watch``."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from containers import Containers, containers
from one_file import put_on
from vms import LABCTL, environment, image_or_skip

from labctl.sandbox.releases import JAMMY

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def vms() -> Iterator[Containers]:
    with containers("student", students=1) as made:
        yield made


@pytest.fixture(scope="module")
def ubuntu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    image_or_skip(JAMMY, tmp_path_factory.mktemp("archive"))
    with containers("ubuntu", students=1, release="jammy") as made:
        yield made


class Screen:
    """``labctl grade --watch`` on a terminal of its own."""

    def __init__(self, process: subprocess.Popen[bytes], terminal: int) -> None:
        self.process = process
        self.terminal = terminal
        self.text = ""

    def read(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            ready, _, _ = select.select([self.terminal], [], [], left)
            try:
                data = os.read(self.terminal, 65536) if ready else b""
            except OSError:  # the process has ended
                return
            self.text += re.sub(r"\x1b\[[\d;]*m", "", data.decode())
            if data:
                return

    def shows(self, pattern: str, seconds: float = 60) -> str:
        """What is on the screen from the first place where the pattern is; then that is forgotten."""
        until = time.monotonic() + seconds
        while not (found := re.search(pattern, self.text)):
            assert time.monotonic() < until, f"{pattern!r} is not in:\n{self.text}"
            self.read(0.5)
        rest, self.text = self.text[found.start() :], self.text[found.end() :]
        return rest


@contextmanager
def watching(*args: str) -> Iterator[Screen]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*LABCTL, "grade", "--watch", *args],
        env={**environment(), "NO_COLOR": "1"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Screen(process, ours)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        os.close(ours)


def test_a_fix_on_the_vm_shows_as_a_pass_and_ctrl_c_leaves_at_once(vms: Containers) -> None:
    inventory = str(vms.box.inventory_path)
    vms.run("sudo apt-get remove -y haproxy 2>/dev/null; true")
    with watching("student1", "-i", inventory, "--only", "lb.active", "--only", "nfs.package") as screen:
        screen.shows("FAIL +0/1 +HAProxy is installed")
        screen.shows("Watching student1")
        logins = vms.logins()
        vms.run("sudo apt-get install -y haproxy >/dev/null")
        told = screen.shows("PASS +1/1 +HAProxy is running, and starts at boot", 90)
        assert "nfs" not in told
        vms.run("sudo systemctl stop haproxy")
        screen.shows(r"HAProxy is running.*\(was PASS\)|FAIL +\S+ +HAProxy is running", 90)
        # one login for all of it, whatever was looked at (the test's own come beside it)
        assert vms.logins() - logins <= 4
        began = time.monotonic()
        screen.process.send_signal(signal.SIGINT)
        assert screen.process.wait(60) == 130
        assert time.monotonic() - began < 30
    assert "Traceback" not in screen.text
    left = vms.run("pgrep -fc '[l]abctl_agent|[z]lib.decompress' || true")
    assert left.strip() == "0"


def test_q_leaves_with_the_status_of_what_was_seen(vms: Containers) -> None:
    vms.run("sudo systemctl start haproxy || sudo apt-get install -y haproxy >/dev/null")
    with watching("student1", "-i", str(vms.box.inventory_path), "--only", "lb.package") as screen:
        screen.shows("everything that looking can tell is right")
        os.write(screen.terminal, b"q")
        until = time.monotonic() + 20
        while screen.process.poll() is None and time.monotonic() < until:
            screen.read(0.2)
        assert screen.process.returncode == 0


def test_watching_costs_the_vm_little(vms: Containers) -> None:
    """Measured by the kernel's account of all that ran for the login, over ten quiet seconds."""
    total = "sudo awk '/usage_usec/ {print $2}' /sys/fs/cgroup/user.slice/cpu.stat 2>/dev/null || echo 0"
    with watching("student1", "-i", str(vms.box.inventory_path), "--only", "lb.package") as screen:
        screen.shows("Watching student1")
        time.sleep(3)
        before = int(vms.run(total) or 0)
        time.sleep(10)
        used = (int(vms.run(total) or 0) - before) / 1e6
    # the logins that ask for it are counted too
    assert used < 10 * 0.25


SYSTEMS = [("vms", "Debian", "12"), ("ubuntu", "Ubuntu", "22.04")]


@pytest.fixture(params=SYSTEMS, ids=lambda system: system[1])
def bare(request: pytest.FixtureRequest) -> Containers:
    """A container of each system that labctl.pyz is promised for, with no lab done on it."""
    fixture, name, version = request.param
    made: Containers = request.getfixturevalue(fixture)
    system = made.run(". /etc/os-release && echo $NAME $VERSION_ID")
    assert system.startswith(name)
    assert system.endswith(f" {version}\n")
    return made


def test_one_file_grades_a_bare_machine(bare: Containers, tmp_path: Path) -> None:
    put_on(bare.box, "student1", tmp_path)
    assert bare.run("python3 -c 'import click' 2>&1 || true").endswith("No module named 'click'\n")
    document = json.loads(bare.run("python3 labctl.pyz grade --no-disrupt --json; [ $? = 1 ]"))
    (host,) = document["hosts"]
    assert host["status"] == "graded"
    assert {row["verdict"] for row in host["checks"]} <= {"pass", "fail", "skip"}
    reasons = {one["reason"] for one in host["left_out"]}
    assert reasons >= {"not asked for", "checked by staff", "checked by staff from outside"}
    bare.run("sudo useradd -m other; sudo install -m 644 labctl.pyz /tmp/labctl.pyz")
    refused = bare.run("sudo -u other -H python3 /tmp/labctl.pyz grade 2>&1; [ $? = 3 ]")
    assert "sudo in front of the whole command" in refused
    assert len(refused.splitlines()) < 10
