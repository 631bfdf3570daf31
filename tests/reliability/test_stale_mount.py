"""The NFS server goes away under a mount: whoever touches it hangs, and the grader must not."""

from __future__ import annotations

import pytest
from vms import STAFF, Machines

pytestmark = pytest.mark.vm


def test_a_server_that_is_gone_costs_the_share_and_nothing_else(provisioned: Machines) -> None:
    provisioned.run("sudo systemctl stop nfs-server", STAFF)
    host = provisioned.grade("--no-disrupt")
    lost = {one["id"] for one in host["checks"] if one["verdict"] != "pass"}
    assert lost, "a server that is gone was not noticed"
    assert {one.partition(".")[0] for one in lost} == {"nfs"}, lost
    assert host["seconds"] < 180
