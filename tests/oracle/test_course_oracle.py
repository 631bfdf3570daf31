"""The course's own playbooks by ansible-core and by labctl, on the same bare VMs: the same lab.

They need NFS and a firewall, so they run on the shared VMs: what ``labctl setup`` makes of them once a
session is compared with what ansible-playbook makes of the same snapshot, and each runs over the other's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pair import Outcome, Pair, changing, differences, listing, outcomes
from vms import STAFF, STUDENT, Machines

pytestmark = pytest.mark.vm

COURSE = Path(__file__).parents[2] / "playbooks"
SETUP = [COURSE / f"{name}.yml" for name in ("base", "staff", "lab7")]
VMS = (STAFF, STUDENT)
#: ansible-playbook looks for minutes at emulated VMs, and changes them for longer.
LOOKING, MAKING = 1200.0, 2000.0
NOTHING: dict[str, list[Outcome]] = {vm: [] for vm in VMS}


def changed(done: dict[str, list[Outcome]]) -> dict[str, list[Outcome]]:
    return {vm: changing(done[vm]) for vm in VMS}


def manifests(pair: Pair) -> dict[str, dict[str, Any]]:
    return {vm: pair.manifest(vm) for vm in VMS}


@pytest.mark.timeout(900)
def test_ansible_leaves_labctls_firewall_and_mounts_alone(provisioned: Machines, tmp_path: Path) -> None:
    """Of the course what containers have not; the soak runs all of it."""
    pair = Pair(provisioned.box, tmp_path)
    done = pair.ansible_series(SETUP, VMS, "--tags", "base,nfs", timeout=LOOKING)
    assert {"Private share mounted", "Firewall on"} <= {name for name, _status in done[STUDENT]}
    assert changed(done) == NOTHING


@pytest.mark.soak
@pytest.mark.timeout(4000)
def test_the_lab_is_the_same_by_either_tool(machines: Machines, tmp_path: Path) -> None:
    pair = Pair(machines.box, tmp_path)
    machines.provisioned()
    by_labctl, right = outcomes(machines.setup_document), manifests(pair)
    assert any("--dport 2049 -j ACCEPT" in line for line in right[STAFF]["firewall"])
    assert any(" /mnt nfs" in line for line in right[STUDENT]["mounts"])
    assert changed(pair.ansible_series(SETUP, VMS, timeout=LOOKING)) == NOTHING
    machines.bare()
    by_ansible = pair.ansible_series(SETUP, VMS, timeout=MAKING)
    left = manifests(pair)
    for vm in VMS:
        assert by_labctl[vm] == by_ansible[vm], listing(by_ansible[vm], by_labctl[vm])
    lines = [f"{vm}: {line}" for vm in VMS for line in differences(left[vm], right[vm])]
    assert not lines, "\n".join(lines)
    assert changed(outcomes(machines.setup(*VMS))) == NOTHING
