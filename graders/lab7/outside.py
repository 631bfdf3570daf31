"""Question 2: the DNS server as the rest of the world sees it, asked for names nobody can have prepared
for.
"""

from __future__ import annotations

from labctl.grading import Judgement, See, Target, check, failed, only_from_elsewhere, passed
from labctl.probes import DnsAnswer, Request, addresses, dns_query, sockets, ufw_status, zone_check

from .facts import ZONE
from .reach import LOST, lost_on_the_way
from .zone import on_dns_port


@check("dns.outside-udp", question="2d", layer="answer from outside", after=("dns.answers",))
def outside_udp(vm: Target, see: See) -> Judgement:
    """Your server answers the world over UDP."""
    return _reach(vm, see, "UDP")


@check("dns.outside-tcp", question="2d", layer="answer from outside", after=("dns.answers",))
def outside_tcp(vm: Target, see: See) -> Judgement:
    """Your server answers the world over TCP."""
    return _reach(vm, see, "TCP")


@check(
    "dns.no-open-recursion",
    question="2d",
    layer="answer from outside",
    after=("dns.answers",),
    applies=only_from_elsewhere,
)
def no_open_recursion(vm: Target, see: See) -> Judgement:
    """Your server does not resolve other people's names for the world."""
    answers = see(fresh(vm, tcp=False), fresh(vm, tcp=True))
    heard = [one for one in answers if one.answered]
    # The grader itself may sit in a network that is allowed: being offered recursion is only a fault
    # where the configuration offers it to the world. And it may sit in one that is denied.
    found, own = see(zone_check(ZONE), addresses())
    others = found.strangers(own.addresses)
    if heard and not any(one.recursion for one in heard) and (others.everybody or not others.example):
        return passed("recursion is not offered outside")
    allowed = ", ".join(found.recursion_for()[:8])
    if not others.example:
        return passed(f"only for {allowed}" if allowed else "for nobody")
    if not heard:
        lost = (
            lost_on_the_way(vm, see, 53, proto, one.status)
            for proto, one in zip(("udp", "tcp"), answers, strict=True)
        )
        return next(filter(None, lost), passed("nobody outside reaches the server"))
    return failed(
        expected="recursion for localhost and the campus networks only",
        seen=f"recursion for {others.example}, which may be anybody: {allowed}",
        hint="who may ask for your zone and who may have other names resolved are two settings; "
        "the second follows the first when it is left out",
    )


def fresh(vm: Target, *, tcp: bool, attempt: int = 1) -> Request[DnsAnswer]:
    """A name that has never been asked for: whoever says that it does not exist, and says so with authority,
    has the zone.
    """
    name = f"{vm.nonce}.{ZONE}"
    return dns_query(name, "A", at=vm.address, port=vm.port(53), tcp=tcp, vantage="outside", attempt=attempt)


def patiently(vm: Target, see: See, *, tcp: bool) -> DnsAnswer:
    """The answer; where none came in time, that of a second look. A link that loses packets is no fault."""
    first = see(fresh(vm, tcp=tcp))
    return first if first.status not in LOST else see(fresh(vm, tcp=tcp, attempt=2))


def other_zone(vm: Target, see: See, *, tcp: bool) -> list[str]:
    """What the world is told of the lab's names where the VM itself is told something else by its own server.
    An apex that the lab wants is right, and what was lost on the way is nothing else.
    """
    names = (ZONE, f"test.{ZONE}")
    inside = see.all([dns_query(name, "A") for name in names])
    outside = see.all(
        [dns_query(name, "A", at=vm.address, port=vm.port(53), tcp=tcp, vantage="outside") for name in names]
    )
    return [
        f"{name} is {there}"
        for name, here, there in zip(names, inside, outside, strict=True)
        if here.authoritative
        and there.authoritative
        and there.data("A") != here.data("A")
        and (name, there.data("A")) != (ZONE, (vm.lab_address,))
    ]


def _reach(vm: Target, see: See, how: str) -> Judgement:
    answer = patiently(vm, see, tcp=how == "TCP")
    if answer.authoritative and answer.rcode in ("NXDOMAIN", "NOERROR"):
        if other := other_zone(vm, see, tcp=how == "TCP"):
            return failed(
                expected="the same zone outside as on the VM",
                seen=f"outside, {', '.join(other)}",
                hint="which view do others get to, and which file has the zone there?",
            )
        return passed(f"an authoritative answer over {how}")
    found, firewall = see(sockets(), ufw_status())
    listening = [one for one in on_dns_port(found) if one.proto == how.lower()]
    others = {one.process or "?" for one in listening} - {"named", "?"}
    if not others and (lost := lost_on_the_way(vm, see, 53, how.lower(), answer.status)):
        return lost
    if answer.answered:
        hint = "the server is reached and does not want to answer for your zone: may everybody ask it?"
    elif others:
        hint = "another server has port 53 as well, and gets what BIND should: ss -tulpn shows which"
    elif firewall.active and any(not one.loopback for one in listening):
        hint = "ufw is on: which rule lets port 53 in, for which protocols?"
    else:
        hint = "on which addresses does the server listen? ss -tulpn tells"
    return failed(expected=f"an authoritative answer from outside over {how}", seen=str(answer), hint=hint)


CHECKS = (outside_udp, outside_tcp, no_open_recursion)
