"""A server that answers on the VM and not from outside: what can be said about it.

A link that loses packets looks like a firewall that drops them. Only what the VM itself shows tells them
apart, and without that there is no fault.
"""

from __future__ import annotations

from dataclasses import replace

from labctl.grading import Judgement, See, Target, unjudged
from labctl.probes import Socket, sockets, ufw_status

#: How it looks when packets are lost, or the way ends before the VM.
LOST = frozenset({"timeout", "unreachable"})


def lost_on_the_way(vm: Target, see: See, port: int, proto: str, trouble: str) -> Judgement | None:
    """For a port from which nothing came: a judgement when nothing on the VM explains it."""
    if trouble not in LOST or _shut(vm, see, port, proto):
        return None
    return unjudged(
        f"no answer on port {port} from outside, and nothing on the VM keeps it out",
        "packets may have been lost: grade it again; if it stays so, is there a firewall besides ufw?",
    )


def _shut(vm: Target, see: See, port: int, proto: str) -> bool:
    """The VM keeps others from the port: its server is bound to the VM alone, or ufw is in the way."""
    found, firewall = see(sockets(), ufw_status())
    there = [one for one in found.listening if (one.port, one.proto) == (port, proto)]
    # for a server of both families the rules are those of the family in which it is asked
    asked = [
        replace(one, address="0.0.0.0") if one.address == "::" and ":" not in vm.address else one  # noqa: S104
        for one in there or [Socket(proto, "::", port, 0, "")]
    ]
    # of one port and protocol the firewall says the same for all addresses of a family
    alike = {(one.loopback, ":" in one.address): one for one in asked}
    return all(one.loopback or firewall.keeps_out(one) for one in alike.values())
