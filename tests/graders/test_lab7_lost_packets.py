"""Lab 7 over a link that loses packets: silence is no fault of the VM's, unless the VM shows why."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from world import SILENT, World, states

from labctl.probes import DnsAnswer, Firewall, Replies, Reply, Request, Socket

OPEN = Firewall(True, True, ("53 ALLOW Anywhere", "7000:7001/tcp ALLOW Anywhere"))
OFF = Firewall(True, False, ())
#: Rules that ufw has and that are not read here.
BY_INTERFACE = Firewall(True, True, ("53 on eth0 ALLOW Anywhere", "7000:7001/tcp on eth0 ALLOW Anywhere"))
BY_PROFILE = Firewall(True, True, ("My server ALLOW Anywhere",))
FROM_OUTSIDE = {"lb.reach-frontend", "lb.reach-stats", "dns.outside-udp", "dns.outside-tcp"}
ERRORS = ["timeout", "unreachable"]


def silent(error: str, firewall: Firewall, **more: Any) -> World:
    """A right VM that is never reached."""
    nobody = Replies((Reply(0, "", error),) * 2, 8.0)
    return World(
        door_outside=nobody,
        page_outside=nobody,
        outside={"udp": error, "tcp": error},
        firewall=firewall,
        **more,
    )


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("firewall", [OPEN, OFF, BY_INTERFACE, BY_PROFILE], ids=["open", "off", "if", "app"])
def test_silence_that_nothing_on_the_vm_explains_is_no_fault(error: str, firewall: Firewall) -> None:
    world = silent(error, firewall)
    assert world.lost_checks() == dict.fromkeys(FROM_OUTSIDE, "error")
    assert "grade it again" in world.told("lb.reach-stats").judgement.hint


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize(
    "rules",
    [
        (),
        ("22/tcp ALLOW Anywhere",),
        ("53,7000:7001/tcp DENY Anywhere", "53,7000:7001/udp DENY Anywhere"),
        ("53 ALLOW 10.0.0.0/8", "7000:7001/tcp ALLOW 10.0.0.0/8"),
    ],
    ids=["none", "other", "denied", "some"],
)
def test_silence_that_the_vm_s_firewall_explains_is_one(error: str, rules: tuple[str, ...]) -> None:
    world = silent(error, Firewall(True, True, rules))
    assert world.lost_checks() == dict.fromkeys(FROM_OUTSIDE, "fail")
    assert "ufw is on" in world.told("lb.reach-stats").judgement.hint


def test_silence_of_what_is_bound_to_the_vm_alone_is_one() -> None:
    alone = tuple(
        Socket("tcp", "127.0.0.1", port, 9, name) for port, name in ((7000, "haproxy"), (53, "named"))
    )
    everywhere = Socket("tcp", "::", 7001, 9, "haproxy")
    lost = silent("timeout", OPEN, listening=(*alone, everywhere)).lost_checks()
    assert lost["lb.reach-frontend"] == lost["dns.outside-tcp"] == "fail"
    assert lost["lb.reach-stats"] == lost["dns.outside-udp"] == "error"


def test_whoever_says_no_is_there() -> None:
    """Nothing was lost: something answered that the port is closed."""
    assert silent("refused", OPEN).lost_checks() == dict.fromkeys(FROM_OUTSIDE, "fail")


class Slow(World):
    """Its server has not answered the VM itself in time, of one name."""

    def _dns(self, args: Any, outside: bool) -> DnsAnswer:
        if not outside and args["name"] == "test.example.com.":
            return DnsAnswer("timeout", "", False, False, (), (), 3.0)
        return super()._dns(args, outside)


def test_what_the_vm_itself_was_not_told_is_no_other_zone_for_the_world() -> None:
    assert not {"dns.outside-udp", "dns.outside-tcp"} & set(Slow().lost_checks())


def test_an_open_resolver_that_was_not_reached_is_not_taken_for_a_closed_one() -> None:
    world = silent("timeout", OPEN)
    world.bind = replace(world.bind, text=world.bind.text.replace("10.77.0.0/24", '"any"'))
    assert world.lost_checks()["dns.no-open-recursion"] == "error"
    world.firewall = Firewall(True, True, ())
    assert "dns.no-open-recursion" not in world.lost_checks()


class Lossy(World):
    """A right VM, whose servers are still coming up, over a link that loses what chance decides."""

    def __init__(self, seed: int) -> None:
        super().__init__(firewall=OPEN)
        self.chance = Random(seed)
        self.haproxy = replace(self.haproxy, state=states([4, 5]))

    def observe(self, request: Request[Any]) -> Any:
        seen = super().observe(request)
        if request.vantage != "outside" or self.chance.random() < 0.5:
            return seen
        error = self.chance.choice(ERRORS)
        if request.probe.name == "dns":
            return replace(seen, status=error, rcode="", authoritative=False, answers=())
        came = self.chance.randrange(len(seen.replies) + 1)
        missing = SILENT.replies if error == "timeout" else (Reply(0, "", error),) * 2
        return Replies((*seen.replies[:came], *missing), 20.0)


@pytest.mark.slow
def test_no_loss_of_packets_makes_a_right_vm_fail() -> None:
    verdicts = set()
    for seed in range(250, 400):
        lost = Lossy(seed).lost_checks()
        assert "fail" not in lost.values(), (seed, lost)
        verdicts |= set(lost.items())
    assert {(name, "error") for name in FROM_OUTSIDE} <= verdicts, "some were lost altogether"


def test_servers_that_come_up_while_nothing_comes_through_are_up() -> None:
    """The first look from outside shows them DOWN, and no later one arrives."""

    class Fading(World):
        def observe(self, request: Request[Any]) -> Any:
            later = request.vantage == "outside" and "settles_within" in request.args
            return SILENT if later else super().observe(request)

    world = Fading(firewall=OPEN)
    world.haproxy = replace(world.haproxy, state=states([4, 5]))
    assert world.lost_checks() == {}
