"""The main job on real VMs: nothing done scores nothing, everything done scores everything."""

from __future__ import annotations

import json
import signal
import subprocess
import time

import pytest
from by_hand import WAIT, by_hand, in_tmux
from vms import LABCTL, STUDENT, Machines, environment, labctl
from waiting import wait_for

pytestmark = pytest.mark.vm


def verdicts(host: dict[str, object]) -> dict[str, str]:
    return {check["id"]: check["verdict"] for check in host["checks"]}  # type: ignore[attr-defined]


def listening(machines: Machines) -> int:
    """How many of the six workers listen, as the VM sees it."""
    done = machines.box.run(STUDENT, "ss -Hltn 'sport >= 8080 and sport <= 8085' | wc -l", timeout=30)
    return int(done.stdout or 0)


def how_the_workers_run(machines: Machines) -> str:
    """User, arguments and cgroup of the server's processes, without their pids."""
    return machines.run(
        "for p in $(pgrep -f 'python3 .*server.py$'); do "
        "echo $(stat -c %U /proc/$p) $(tr '\\0' ' ' < /proc/$p/cmdline) $(sudo readlink /proc/$p/cwd) "
        "$(cat /proc/$p/cgroup); done | sort"
    ).stdout


def test_a_bare_vm_scores_nothing_and_every_failure_has_a_hint(bare: Machines) -> None:
    host = bare.grade(expected=1)
    assert (host["status"], host["score"]) == ("graded", 0)
    assert host["max_score"] > 0
    assert set(verdicts(host).values()) <= {"fail", "skip"}
    for check in host["checks"]:
        assert check["hint"], check
        assert len(check["hint"]) < 400


def test_a_provisioned_vm_scores_everything(provisioned: Machines) -> None:
    before = how_the_workers_run(provisioned)
    host = provisioned.grade(expected=0)
    assert set(verdicts(host).values()) == {"pass"}
    assert host["score"] == host["max_score"]
    assert host["restored"] is True
    assert how_the_workers_run(provisioned) == before


def test_the_read_only_part_costs_one_connection_and_five_round_trips(provisioned: Machines) -> None:
    before = provisioned.logins()
    host = provisioned.grade("--no-disrupt", expected=0)
    assert host["round_trips"] <= 5
    # one for the grade, and one for looking
    assert provisioned.logins() - before == 2


STATES = {"shell": by_hand, "tmux": in_tmux}


@pytest.mark.parametrize("state", STATES)
def test_the_lab_done_by_hand_scores_everything(machines: Machines, state: str) -> None:
    STATES[state](machines)
    before = how_the_workers_run(machines)
    host = machines.grade(expected=0)
    assert host["score"] == host["max_score"]
    assert host["restored"] is True
    assert how_the_workers_run(machines) == before


def test_a_unit_that_always_restarts_is_held_down_and_started_again(provisioned: Machines) -> None:
    """With Restart=always six crashed workers are back in a moment, and 503 would never be seen."""
    folder = "/etc/systemd/system/lab7-workers.service.d"
    provisioned.run(
        f"sudo mkdir {folder} && printf '[Service]\\nRestart=always\\nRestartSec=100ms\\n' "
        f"| sudo tee {folder}/always.conf"
    )
    provisioned.run("sudo systemctl daemon-reload && sudo systemctl restart lab7-workers")
    provisioned.run(WAIT, timeout=90)
    host = provisioned.grade(expected=0)
    assert host["score"] == host["max_score"]
    assert host["restored"] is True
    assert provisioned.run("systemctl is-active lab7-workers").stdout.strip() == "active"


def test_workers_of_a_unit_that_would_not_be_started_as_it_was_are_left_alone(provisioned: Machines) -> None:
    def why() -> str:
        host = provisioned.grade("--only", "lb.crash-503", expected=3)
        found = verdicts(host)
        assert {found.pop("lb.crash-503"), *found.values()} == {"error", "pass"}
        return next(str(check["seen"]) for check in host["checks"] if check["id"] == "lb.crash-503")

    provisioned.run(
        "printf '[Unit]\\nRequires=lab7-workers.service\\n[Service]\\nExecStart=sleep 1000\\n' "
        "| sudo tee /etc/systemd/system/friend.service && sudo systemctl start friend"
    )
    pids = provisioned.run("pgrep -f 'python3 .*server.py$' | sort").stdout
    assert "with the unit lab7-workers.service systemd would stop friend.service too" in why()
    provisioned.run("sudo systemctl stop friend")
    unit = provisioned.run("systemctl show -P FragmentPath lab7-workers").stdout.strip()
    provisioned.run(f"sleep 3; echo '# tried something' | sudo tee -a {unit}; sudo systemctl daemon-reload")
    assert f"{unit} was changed since the unit lab7-workers.service began" in why()
    assert provisioned.run("pgrep -f 'python3 .*server.py$' | sort").stdout == pids


def test_killed_in_the_crash_experiment_the_vm_heals_itself(provisioned: Machines) -> None:
    """Workers in a terminal, and other ways to end a run: reliability/test_cut_off.py, in containers."""
    machines = provisioned
    before = how_the_workers_run(machines)
    grade = subprocess.Popen(
        [*LABCTL, "grade", STUDENT, "--json"],
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: listening(machines) < 6, "workers end", 120)
    finally:
        grade.send_signal(signal.SIGKILL)
        grade.wait()
    killed = time.monotonic()
    wait_for(lambda: listening(machines) == 6, "workers are back", 60)
    left = 60 - (time.monotonic() - killed)
    wait_for(lambda: how_the_workers_run(machines) == before, "they run as before", left)
    host = machines.grade("--no-disrupt", expected=0)
    assert host["score"] == host["max_score"]


def test_a_vm_that_is_down_is_an_error_and_no_zero(machines: Machines) -> None:
    done = labctl("grade", "student1@127.0.0.1:1", "--json")
    assert done.returncode == 3
    (host,) = json.loads(done.stdout)["hosts"]
    assert host["status"] == "error"
    assert "unreachable" in host["error"]
    assert host["checks"] == []
