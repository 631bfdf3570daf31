"""Who can reach a listening socket, by what ufw says."""

from __future__ import annotations

import pytest

from labctl.probes import Firewall, Socket

# As `ufw status` prints them.
RULES = (
    "OpenSSH                    ALLOW       Anywhere",
    "53                         ALLOW       Anywhere",
    "7000:7001/tcp              ALLOW       Anywhere",
    "8080/tcp                   DENY        Anywhere",
    "8080                       ALLOW       Anywhere",
    "9000/tcp                   ALLOW       10.0.0.0/8",
    "9001/tcp                   LIMIT       Anywhere                   # slow down",
    "80,443/tcp                 ALLOW       Anywhere",
    "OpenSSH (v6)               ALLOW       Anywhere (v6)",
    "7000:7001/tcp (v6)         DENY        Anywhere (v6)",
)

CASES = [
    ("tcp", "127.0.0.1", 8080, "loopback"),
    ("udp", "127.0.0.53", 53, "loopback"),
    ("tcp", "::1", 22, "loopback"),
    ("tcp", "0.0.0.0", 22, "allowed by ufw"),
    ("udp", "0.0.0.0", 22, "closed by ufw"),
    ("udp", "10.77.0.11", 53, "allowed by ufw"),
    ("tcp", "0.0.0.0", 7001, "allowed by ufw"),
    ("tcp", "0.0.0.0", 7002, "closed by ufw"),
    ("tcp", "0.0.0.0", 8080, "closed by ufw"),
    ("udp", "0.0.0.0", 8080, "allowed by ufw"),
    ("tcp", "0.0.0.0", 9000, "some addresses"),
    ("tcp", "0.0.0.0", 9001, "allowed by ufw"),
    ("tcp", "0.0.0.0", 443, "allowed by ufw"),
    ("tcp", "::", 22, "allowed by ufw"),
    ("tcp", "::", 7000, "closed by ufw"),
    ("tcp", "::", 53, "closed by ufw"),
]


@pytest.mark.parametrize(("proto", "address", "port", "reach"), CASES)
def test_the_first_rule_about_the_port_decides(proto: str, address: str, port: int, reach: str) -> None:
    assert Firewall(True, True, RULES).reach(Socket(proto, address, port, 1, "x")) == reach


def test_a_firewall_that_is_off_keeps_nobody_out() -> None:
    listening = Socket("tcp", "0.0.0.0", 8080, 1, "x")
    assert Firewall(True, False, ()).reach(listening) == "everywhere"
    assert Firewall(True, True, ()).reach(listening) == "closed by ufw"


def test_a_rule_for_everything_is_about_every_port() -> None:
    rules = (
        "Anywhere                   ALLOW       10.9.0.1",
        "Anywhere                   DENY        Anywhere",
    )
    assert Firewall(True, True, rules).reach(Socket("tcp", "0.0.0.0", 5, 1, "x")) == "closed by ufw"


def test_what_a_vm_says_in_a_rule_is_only_text() -> None:
    rules = ("99999999999999999999:x/tcp ALLOW Anywhere", " ALLOW Anywhere", "[bold] ALLOW", "")
    assert Firewall(True, True, rules).reach(Socket("tcp", "0.0.0.0", 5, 1, "x")) == "closed by ufw"
