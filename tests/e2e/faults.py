"""Single faults that students make, as commands on a provisioned VM, and what each one costs.

``lost`` are the checks that FAIL; ``skipped`` those that say nothing without them. Every other check
must still PASS. ``errors`` are checks that cannot be judged, which costs nobody a point.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from vms import STAFF

ZONE = "/etc/bind/db.example.com"
RAISE_SERIAL = f"sudo sed -i 's/2026110101/2026110102/' {ZONE}"
RELOAD = "sudo systemctl reload named"
HAPROXY = "/etc/haproxy/haproxy.cfg"
RELOAD_HAPROXY = "sudo systemctl reload haproxy"
# The VM has no curl.
CRASH = "python3 -c \"import urllib.request as r; r.urlopen('http://127.0.0.1:8083/crash').read()\""


@dataclass(frozen=True)
class Fault:
    """``commands`` run on the student's VM, ``on_staff`` on the staff's server."""

    commands: tuple[str, ...]
    lost: frozenset[str]
    skipped: frozenset[str] = field(default_factory=frozenset)
    errors: frozenset[str] = field(default_factory=frozenset)
    on_staff: tuple[str, ...] = ()


def fault(*commands: str, lost: str, skipped: str = "", errors: str = "", on_staff: tuple[str, ...] = ()) -> Fault:
    """The id lists are written with blanks between."""
    sets = (frozenset(text.split()) for text in (lost, skipped, errors))
    return Fault(commands, *sets, on_staff=on_staff)


_ = STAFF
FAULTS = {
    "the public share instead of the private one": fault(
        "sudo umount /mnt",
        "sudo mount -t nfs staff2.decal.xcf.sh:/opt/lab7/public /mnt",
        lost="nfs.source",
    ),
    "mounted read-only": fault("sudo mount -o remount,ro /mnt", lost="nfs.read-write"),
    "nothing made in the private share": fault("sudo rm -r /mnt/student1.txt", lost="nfs.item"),
    "wrong apex address": fault(
        f"sudo sed -i -E 's/^(@\\s+IN\\s+A\\s+).*/\\110.77.0.12/' {ZONE}", RAISE_SERIAL, RELOAD, lost="dns.apex-address"
    ),
    "zone edited and not reloaded": fault(
        f"echo 'late IN TXT \"too late\"' | sudo tee -a {ZONE}", RAISE_SERIAL, lost="dns.reloaded"
    ),
    "open resolver": fault(
        "sudo sed -i -E 's/(allow-recursion|allow-query-cache).*/\\1 { any; };/' /etc/bind/named.conf.options",
        RELOAD,
        lost="dns.no-open-recursion",
    ),
    "the DNS server does not start at boot": fault("sudo systemctl disable named", lost="dns.enabled"),
    "the DNS server is stopped": fault("sudo systemctl stop named", lost="dns.active"),
    "DNS over UDP is not let through": fault(
        "sudo ufw delete allow 53", "sudo ufw allow 53/tcp", lost="dns.outside-udp"
    ),
    "port 7000 is not let through": fault("sudo ufw delete allow 7000/tcp", lost="lb.reach-frontend"),
    "statistics under another uri": fault(
        f"sudo sed -i 's,stats uri.*,stats uri /status,' {HAPROXY}", RELOAD_HAPROXY, lost="lb.stats"
    ),
    "another balancing algorithm than configured in the lab": fault(
        f"sudo sed -i 's/balance.*/balance random/' {HAPROXY}", RELOAD_HAPROXY, lost="lb.order"
    ),
    "one server without a health check": fault(
        f"sudo sed -i -E '0,/(server .*) check/s//\\1/' {HAPROXY}", RELOAD_HAPROXY, lost="lb.health-checks"
    ),
    "one worker is not in the backend": fault(
        f"sudo sed -i -E '/server .*8085/d' {HAPROXY}", RELOAD_HAPROXY, lost="lb.servers"
    ),
    "one worker has crashed": fault(CRASH, lost="lb.workers", skipped="lb.crash-down"),
    "the load balancer's configuration is broken on disk": fault(
        f"echo 'nonsense here' | sudo tee -a {HAPROXY}", lost="lb.config"
    ),
    "the NFS server is down": fault(
        lost="", errors="nfs.responds", on_staff=("sudo systemctl stop nfs-server",)
    ),
}
