"""A VM that reboots while it is graded: what was seen before and after does not go together."""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from contextlib import suppress

import pytest
from vms import LABCTL, STUDENT, Machines, environment, lost

from labctl.errors import SandboxError

pytestmark = [pytest.mark.vm]

SEED = int(os.environ.get("LABCTL_TEST_SEED") or random.randrange(1 << 32))
#: The promise of the crash experiment, on a machine that has nothing else to do; beside other tests an
#: emulated VM boots slowly.
WITHIN, BOOT = 60.0, 240.0
#: The share is not looked at: it is for the VM to mount it again, and not for the grader.
ONLY = ("--only", "dns", "--only", "lb")
RUNNING = (
    "test $(ss -Hltn 'sport >= 8080 and sport <= 8085' | wc -l) = 6 && systemctl is-active -q lab7-workers"
)


def reset_in_the_middle(machines: Machines, moment: float) -> tuple[float, str]:
    """Seconds from a reset ``moment`` seconds after the run began until the workers are back, and what was
    wrong.

    A VM that is reset while the agent starts on it may be an ERROR, which one more run clears.
    """
    machines.provisioned()
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
        while not running(machines):
            assert time.monotonic() - began < BOOT, "the workers did not come back"
            time.sleep(0.5)
        seconds = time.monotonic() - began
        out, err = grade.communicate(timeout=420)
    finally:
        grade.kill()
        grade.wait()
    assert "Traceback" not in err, err
    (host,) = json.loads(out)["hosts"]
    if host["status"] == "error":
        assert "fail" not in {one["verdict"] for one in host["checks"]}, lost(out)
        print(f"cleared by one more run: {host['error']}", flush=True)
        host = machines.grade(*ONLY)
    whole = host["status"] == "graded" and host["score"] == host["max_score"]
    return seconds, "" if whole else str([one for one in host["checks"] if one["verdict"] != "pass"])


def running(machines: Machines) -> bool:
    with suppress(SandboxError, subprocess.TimeoutExpired):
        return machines.box.run(STUDENT, RUNNING, timeout=20).status == 0
    return False


@pytest.mark.timeout(900)
def test_a_vm_that_is_reset_is_graded_once_more_and_its_unit_brings_the_workers_back(
    machines: Machines,
) -> None:
    print(f"LABCTL_TEST_SEED={SEED}")
    seconds, missed = reset_in_the_middle(machines, random.Random(SEED).uniform(3.0, 25.0))
    assert missed == ""
    assert seconds < BOOT


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_reset_at_many_random_moments(machines: Machines) -> None:
    print(f"LABCTL_TEST_SEED={SEED}")
    dice = random.Random(SEED)
    found = []
    for _ in range(int(os.environ.get("LABCTL_TEST_TRIALS") or 20)):
        moment = dice.uniform(0.5, 30.0)
        seconds, missed = reset_in_the_middle(machines, moment)
        print(f"reset {moment:.1f} s after the start: back after {seconds:.1f} s {missed}", flush=True)
        found.append(missed or ("" if seconds < WITHIN else f"back after {seconds:.0f} s"))
    assert [one for one in found if one] == []
