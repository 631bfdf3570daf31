"""Ways to get lab 7 wrong on a real machine: a shell line for each, and the check that must then not pass."""

from __future__ import annotations

import random

HAPROXY = "/etc/haproxy/haproxy.cfg"
ZONE = "/etc/bind/db.example.com"
OPTIONS = "/etc/bind/named.conf.options"


def haproxy(script: str) -> str:
    return f"sudo sed -i '{script}' {HAPROXY} && sudo systemctl reload haproxy"


FAULTS = {
    "dns.enabled": "sudo systemctl disable -q named",
    "dns.active": "sudo systemctl stop named",
    "dns.no-open-recursion": f"sudo sed -i 's/recursion {{ campus; }}/recursion {{ any; }}/;"
    f"s/cache {{ campus; }}/cache {{ any; }}/' {OPTIONS} && sudo systemctl restart named",
    "dns.test-address": f"sudo sed -i 's/93.184.216.34/93.184.216.35/' {ZONE}"
    " && sudo systemctl restart named",
    "dns.reloaded": f"sudo sed -i 's/2026110101/2026110102/' {ZONE}",
    "lb.order": haproxy("s/balance roundrobin/balance source/")
    + f" && sudo sed -i 's/balance source/balance roundrobin/' {HAPROXY}",
    "lb.health-checks": haproxy("s/ check$//"),
    "lb.stats": haproxy("s,stats uri /stats,stats uri /elsewhere,"),
    "lb.servers": haproxy("/worker5 /d"),
    "lb.workers": "curl -s http://127.0.0.1:8082/crash || python3 -c "
    "\"import urllib.request as r; r.urlopen('http://127.0.0.1:8082/crash')\"",
    # hours, so that a worker which another fault ends stays UP as long as the tests last
    "lb.crash-down": haproxy("s/ check$/ check inter 2s fall 10000/"),
    "lb.active": "sudo systemctl disable -q haproxy",
}


#: Made last, as a restart for another would mend them: a service that is stopped, files that were not read.
LAST = ("dns.active", "dns.reloaded", "lb.order")


def mix(number: int) -> list[str]:
    """The faults of the machine with that number, in the order in which they are made; the first has none,
    and each number has always the same.
    """
    if not number:
        return []
    found = random.Random(number).sample(sorted(FAULTS), k=min(number, 1 + number % 3))
    return sorted(found, key=lambda fault: fault in LAST)
