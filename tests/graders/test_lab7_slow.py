"""Observations that a VM made up to keep the grader busy: they are judged, and soon."""

from __future__ import annotations

from dataclasses import replace

from cpu import within_seconds_of_cpu
from world import World

from labctl.probes import Record, Replies, Reply, Socket


def test_a_zone_of_delegations_is_judged() -> None:
    cuts = tuple(Record(f"n{n}.example.com.", "NS", "a.", 60) for n in range(1000))
    below = tuple(Record(f"a.x{n}.example.com.", "NS", "a.", 60) for n in range(1000))
    world = World()
    world.bind = replace(world.bind, records=(*world.bind.records, *cuts, *below))
    with within_seconds_of_cpu(0.4):
        world.judge(only=("dns.reloaded", "dns.own-address"))


def test_a_page_with_one_column_again_and_again_is_judged() -> None:
    text = "# pxname,svname," + "type," * 6000 + "\n" + "\n" * 30_000
    page = Replies((Reply(200, text, ""),), 0.1)
    with within_seconds_of_cpu(1.0):
        World(page=page, page_outside=page).judge(only=("lb.stats",))


def test_a_long_name_in_the_configuration_is_in_no_request() -> None:
    world = World(balances="source")
    text = world.haproxy.text.replace("balance roundrobin", f"balance hdr({'a' * 100_000})")
    world.haproxy = replace(world.haproxy, text=text)
    world.judge(only=("lb.order",))
    assert sum(map(len, world.evidence.observed)) < 100_000


def test_many_claims_of_many_programs_are_judged() -> None:
    listening = tuple(Socket("udp", "0.0.0.0", 53, 1, f"p{n}") for n in range(499))
    claims = "\n".join(f"53/udp p{n}" for n in range(600))
    with within_seconds_of_cpu(0.6):
        World(listening=listening, answers={"0a": claims}).judge(only=("answer.0a",))
