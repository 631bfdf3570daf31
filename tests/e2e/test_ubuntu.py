"""The main job on real VMs of Ubuntu 22.04: the lab set up by staff and graded over SSH."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from one_file import put_on
from vms import NAME, STAFF, STUDENT, Machines, image_or_skip

from labctl.sandbox import Sandbox
from labctl.sandbox.releases import JAMMY

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def ubuntu(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    """VMs with a kernel of their own, which NFS and ufw take."""
    image_or_skip(JAMMY, tmp_path_factory.mktemp("archive"))
    box = Sandbox.open(f"{NAME}-jammy")
    box.down()
    try:
        box.up(students=1, release="jammy", progress=lambda step: print(step, file=sys.stderr))
        yield Machines(box)
    finally:
        box.down()


def test_the_lab_set_up_by_staff_scores_everything(ubuntu: Machines, tmp_path: Path) -> None:
    inventory = ("-i", str(ubuntu.box.inventory_path))
    ubuntu.setup(STAFF, STUDENT, *inventory)
    again = ubuntu.setup(STAFF, STUDENT, *inventory)
    assert {host["changed"] for host in again["hosts"]} == {0}
    host = ubuntu.grade(*inventory, expected=0)
    assert host["score"] == host["max_score"]
    assert host["restored"] is True
    # and what the student sees there, with the VM's own Python
    put_on(ubuntu.box, STUDENT, tmp_path)
    (own,) = json.loads(ubuntu.run("python3 labctl.pyz grade --json", timeout=300).stdout)["hosts"]
    assert {check["verdict"] for check in own["checks"]} == {"pass"}
    assert own["score"] == own["max_score"] > 50
    assert own["restored"] is True
