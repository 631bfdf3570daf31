"""A VM that reboots while it is graded: what was seen before and after does not go together."""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass

import pytest
from vms import LABCTL, STUDENT, Machines, environment, lost

from labctl.errors import SandboxError

pytestmark = [pytest.mark.vm]

SEED = int(os.environ.get("LABCTL_TEST_SEED") or random.randrange(1 << 32))
#: The promise: seconds from the reset until the workers are as they were, on a machine that has nothing else
#: to do. Beside other tests the boot alone takes an emulated VM minutes: the other bounds that.
WITHIN, BOOT = 60.0, 240.0
TRIALS = int(os.environ.get("LABCTL_TEST_TRIALS") or 20)
#: The share is not looked at: it is for the VM to mount it again, and not for the grader.
ONLY = ("--only", "dns", "--only", "lb")
RUNNING = (
    "test $(ss -Hltn 'sport >= 8080 and sport <= 8085' | wc -l) = 6 && systemctl is-active -q lab7-workers"
)
BOOTED = "cat /proc/sys/kernel/random/boot_id"
#: Who runs the workers, in which unit and with which words.
WORKERS = "ps -eo user:20,unit:30,args | grep '[s]erver[.]py' | sort"
#: When sshd and the workers were started, in microseconds of the VM's own clock since its kernel began.
STARTED = "systemctl show -P ActiveEnterTimestampMonotonic ssh lab7-workers | grep ."


@dataclass(frozen=True)
class Reset:
    """Seconds: ``boot`` from the reset until SSH answers, ``back`` from then until the workers are as they
    were. ``started`` is the VM's own account of it, ``missed`` what the run came to, "" for every point.
    """

    boot: float
    back: float
    started: str
    missed: str

    def __str__(self) -> str:
        return (
            f"answers after {self.boot:.1f} s, workers {self.back:.1f} s later ({self.started}) {self.missed}"
        )


def reset_in_the_middle(machines: Machines, moment: float) -> Reset:
    """A reset ``moment`` seconds after the run began.

    A VM that is reset while the agent starts on it may be an ERROR, which one more run clears.
    """
    machines.provisioned()
    before, booted = machines.run(WORKERS).stdout, machines.run(BOOTED).stdout
    # what a VM that was set up a while ago has on its disk
    machines.run("sync")
    grade = subprocess.Popen(
        [*LABCTL, "grade", STUDENT, "--json", "--deadline", "400", *ONLY],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        time.sleep(moment)
        machines.box.power_cycle(STUDENT)
        began = time.monotonic()
        while True:
            # not before the reset has had its effect
            time.sleep(0.2)
            if answers(machines):
                break
            assert time.monotonic() - began < BOOT, "SSH does not answer again"
        answered = time.monotonic()
        while not running(machines, booted):
            assert time.monotonic() - answered < BOOT, "the workers did not come back"
            time.sleep(0.5)
        back = time.monotonic() - answered
        out, err = grade.communicate(timeout=420)
    finally:
        grade.kill()
        grade.wait()
    assert "Traceback" not in err, err
    (host,) = json.loads(out)["hosts"]
    if host["status"] == "error":
        assert "fail" not in {one["verdict"] for one in host["checks"]}, lost(out)
        print(f"cleared by one more run: {host['error'] or lost(out)}", flush=True)
        host = machines.grade(*ONLY)
    whole = host["status"] == "graded" and host["score"] == host["max_score"]
    missed = "" if whole else str([one for one in host["checks"] if one["verdict"] != "pass"])
    if machines.run(WORKERS).stdout != before:
        missed += " the workers do not run as before"
    ssh, workers = (int(word) / 1e6 for word in machines.run(STARTED).stdout.split())
    started = f"on the VM: sshd {ssh:.1f} s, workers {workers:.1f} s after its kernel"
    return Reset(answered - began, back, started, missed)


def answers(machines: Machines) -> bool:
    """The VM's sshd says who it is: QEMU itself takes connections long before."""
    vm = machines.box.vm(STUDENT)
    with suppress(OSError), socket.create_connection((vm.address, vm.ports[22]), 2.0) as link:
        link.settimeout(2.0)
        return link.recv(4) == b"SSH-"
    return False


def running(machines: Machines, booted: str) -> bool:
    """All six listen, since another boot than ``booted``."""
    with suppress(SandboxError):
        done = machines.box.run(STUDENT, f"{RUNNING} && {BOOTED}", timeout=20)
        return done.status == 0 and done.stdout != booted
    return False


@pytest.mark.timeout(900)
def test_a_vm_that_is_reset_is_graded_once_more_and_its_unit_brings_the_workers_back(
    machines: Machines,
) -> None:
    print(f"LABCTL_TEST_SEED={SEED}")
    reset = reset_in_the_middle(machines, random.Random(SEED).uniform(3.0, 25.0))
    print(reset)
    assert reset.missed == ""
    # beside other tests a login alone takes an emulated VM long: the promise itself is the soak's to show
    assert reset.boot + reset.back < BOOT


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_reset_at_many_random_moments(machines: Machines) -> None:
    print(f"LABCTL_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    found = []
    for number in range(1, TRIALS + 1):
        moment = dice.uniform(0.5, 30.0)
        reset = reset_in_the_middle(machines, moment)
        print(f"{number} of {TRIALS}: reset {moment:.1f} s after the start: {reset}", flush=True)
        found.append(reset.missed or ("" if reset.boot + reset.back < WITHIN else str(reset)))
    assert [one for one in found if one] == []
