"""Single faults on a real VM: each loses exactly its own checks, and each loss has a hint."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from vms import Machines

pytestmark = pytest.mark.vm


@dataclass(frozen=True)
class Fault:
    """What a student does wrong, and the checks that this must cost (fail or skip), no more and no less."""

    name: str
    command: str
    lost: frozenset[str]
    disrupt: bool = False


CRASH = {"lb.crash-down", "lb.crash-rotation", "lb.crash-503", "lb.recovered"}
CFG = "/etc/haproxy/haproxy.cfg"
ZONE = "/etc/bind/db.example.com"

FAULTS = [
    Fault(
        "public instead of private",
        "sudo umount /mnt && sudo mount -t nfs staff2.decal.xcf.sh:/opt/lab7/public /mnt",
        frozenset(
            {"nfs.source", "nfs.responds", "nfs.read-write", "nfs.item", "nfs.item-on-server"}
            | {"nfs.write", "nfs.write-on-server"}
        ),
        disrupt=True,
    ),
    Fault(
        "apex has another address",
        f"sudo sed -i -E 's/^(@\\s+IN\\s+A\\s+).*/\\110.77.0.12/; s/[0-9]{{10}}/2099010101/' {ZONE} "
        "&& sudo rndc reload example.com",
        frozenset({"dns.apex-address"}),
    ),
    Fault(
        "configuration broken on disk only",
        f"echo nonsense here | sudo tee -a {CFG}",
        frozenset({"lb.config", "lb.servers"}),
    ),
    # Honest work, and no fault: the optional part invites to it.
    Fault(
        "another algorithm",
        f"sudo sed -i 's/balance.*/balance random/' {CFG} && sudo systemctl reload haproxy && sleep 5",
        frozenset(),
        disrupt=True,
    ),
    Fault(
        "port 7000 closed",
        "sudo ufw delete allow 7000/tcp",
        frozenset({"lb.reach-frontend"}),
    ),
    Fault("port 7001 closed", "sudo ufw delete allow 7001/tcp", frozenset({"lb.reach-stats"})),
    Fault("DNS closed for UDP", "sudo ufw insert 1 deny 53/udp", frozenset({"dns.outside-udp"})),
    Fault(
        "open resolver",
        "sudo sed -i -E 's/(allow-recursion|allow-query-cache).*/\\1 { any; };/' "
        "/etc/bind/named.conf.options && sudo rndc reconfig",
        frozenset({"dns.no-open-recursion"}),
    ),
    Fault(
        "test has another address",
        f"sudo sed -i -E 's/93.184.216.34/93.184.216.43/; s/[0-9]{{10}}/2099010101/' {ZONE} "
        "&& sudo rndc reload example.com",
        frozenset({"dns.test-address"}),
    ),
    Fault(
        "zone changed and not reloaded",
        f"echo 'late IN TXT \"forgotten\"' | sudo tee -a {ZONE} "
        f"&& sudo sed -i -E 's/[0-9]{{10}}/2099010101/' {ZONE}",
        frozenset({"dns.reloaded"}),
    ),
    Fault(
        "DNS server not enabled",
        "sudo systemctl disable named",
        frozenset({"dns.enabled"}),
    ),
    Fault(
        "read-only mount",
        "sudo mount -o remount,ro /mnt",
        frozenset({"nfs.read-write", "nfs.write", "nfs.write-on-server"}),
        True,
    ),
    Fault(
        "one worker crashed",
        "python3 -c 'import urllib.request as u; u.urlopen(\"http://localhost:8083/crash\").read()'; sleep 8",
        frozenset({"lb.workers", "lb.all-up"} | CRASH),
        disrupt=True,
    ),
    Fault(
        "one server line missing",
        f"sudo sed -i '/127.0.0.1:8084/d' {CFG} && sudo systemctl reload haproxy && sleep 5",
        frozenset({"lb.servers"}),
        disrupt=True,
    ),
    Fault(
        "no health checks",
        f"sudo sed -i -E '/server .*127.0.0.1:808/s/ check.*//' {CFG} && sudo systemctl reload haproxy",
        frozenset({"lb.health-checks", "lb.all-up", "lb.crash-down", "lb.crash-rotation", "lb.recovered"}),
        disrupt=True,
    ),
    Fault(
        "statistics elsewhere",
        f"sudo sed -i 's/7001/7002/' {CFG} && sudo systemctl restart haproxy && sleep 5",
        frozenset({"lb.stats", "lb.reach-stats"}),
    ),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "-"))
def test_a_fault_loses_exactly_its_own_checks(provisioned: Machines, fault: Fault) -> None:
    provisioned.run(fault.command)
    host = provisioned.grade(*([] if fault.disrupt else ["--no-disrupt"]))
    lost = {check["id"] for check in host["checks"] if check["verdict"] != "pass"}
    told = [(one["id"], one["verdict"], one["seen"]) for one in host["checks"] if one["verdict"] != "pass"]
    assert lost == fault.lost, told
    for check in host["checks"]:
        if check["id"] in lost:
            assert check["verdict"] in ("fail", "skip"), check
            assert check["hint"], check
