"""The optional part: other algorithms are held to the configuration, and what is optional costs nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from balancers import ALGORITHMS
from lab7_cases import config
from world import LAB, REFUSED, TARGET, World, crash_of

from labctl.grading import Verdict
from labctl.probes.haproxy import Running

#: balance line -> the order that one client sees
BALANCE = [
    "leastconn", "random", "source", "hdr(User-Agent)", "url_param asked", "uri", "first", "static-rr",
]  # fmt: skip
#: Which of these do the same as another, so that one may stand for it.
ALIKE = [{"roundrobin", "static-rr"}, {"hdr(User-Agent)", "url_param asked"}, {"uri", "first"}]


def balanced(told: str, runs: str = "") -> World:
    """A VM with ``balance TOLD`` in its file, whose HAProxy has ``runs`` (the same)."""
    world = World(balances=runs or told)
    config("balance roundrobin", f"balance {told}")(world)
    one = (runs or told) in ("source", "hdr(User-Agent)", "url_param asked", "uri", "first")
    if one:
        world.order = [4] * 240
        world.crash = crash_of([4] * 15)
    if (runs or told) == "random":
        world.order = [3, 1, 5, 0, 2, 2, 4, 1, 3, 0, 5, 4, 0, 3, 1, 4, 2, 5] * 14
    return world


@pytest.mark.parametrize("told", BALANCE)
def test_another_algorithm_that_is_configured_has_full_marks_and_a_name(told: str) -> None:
    world = balanced(told)
    assert world.lost_checks() == {}
    row = world.told("lb.algorithm")
    assert row.verdict.value == "pass"
    assert ALGORITHMS[told][0] in row.judgement.seen
    assert "chance of another" in row.judgement.seen


@pytest.mark.parametrize("told", BALANCE)
@pytest.mark.parametrize("runs", ["roundrobin", "leastconn", "source", "random"])
def test_another_algorithm_than_the_configured_one_costs_its_points(told: str, runs: str) -> None:
    same = told == runs or any({told, runs} <= one for one in ALIKE)
    world = balanced(told, runs)
    lost = world.lost_checks()
    if same:
        assert lost == {}
    elif told == "static-rr":  # asked for like roundrobin, where leastconn is not told from it
        assert lost.get("lb.order") == (None if runs == "leastconn" else "fail")
    else:
        assert lost.get("lb.order") == "fail"


def test_what_haproxy_says_of_itself_is_not_called_a_fault() -> None:
    world = balanced("leastconn", "source")
    running = (Running("kitchen", "leastconn", ""),)
    world.haproxy = replace(world.haproxy, running=running)
    assert world.lost_checks()["lb.order"] == "error"


def test_a_file_that_was_not_read_again_is_told() -> None:
    world = World()
    world.haproxy = replace(world.haproxy, running=(Running("kitchen", "leastconn", ""),))
    assert (
        "roundrobin in the file, leastconn in the HAProxy that runs"
        in world.told("lb.algorithm").judgement.seen
    )


@pytest.mark.parametrize("passed_over", [(), (3,)], ids=["all-have-a-turn", "one-has-none"])
def test_whom_another_algorithm_passes_over_is_no_fault_of_the_server_lines(
    passed_over: tuple[int, ...],
) -> None:
    world = World()
    chance = [3, 1, 5, 0, 2, 2, 4, 1, 3, 0, 5, 4, 0, 3, 1, 4, 2, 5] * 14
    world.order = [one for one in chance if one not in passed_over]
    assert "running HAProxy" not in hint_of_shares(world)
    # HAProxy has no name for random
    world.haproxy = replace(world.haproxy, running=(Running("kitchen", "", ""),))
    assert "running HAProxy know the configuration" in hint_of_shares(world)


def hint_of_shares(world: World) -> str:
    row = world.told("lb.shares")
    assert row.verdict is Verdict.FAIL
    return row.judgement.hint


def test_the_main_part_is_named_with_what_cannot_be_told_apart() -> None:
    seen = World().told("lb.algorithm").judgement.seen
    assert "roundrobin, static-rr or leastconn" in seen or "leastconn, roundrobin or static-rr" in seen


def weights(*shares: int) -> World:
    world = World(order=[0, 1, 2, 0, 3, 4, 0, 5] * 30)
    for n, weight in enumerate(shares):
        config(f"127.0.0.1:{8080 + n} check", f"127.0.0.1:{8080 + n} check weight {weight}")(world)
    return world


def test_weights_are_seen_and_pass() -> None:
    world = weights(3, 1, 1, 1, 1, 1)
    assert world.lost_checks() == {}
    assert "weights 3:1:1:1:1:1" in world.told("lb.algorithm").judgement.seen


def test_weights_in_tens_are_the_same_as_in_ones() -> None:
    assert weights(30, 10, 10, 10, 10, 10).lost_checks() == {}


def test_weights_that_haproxy_does_not_have_cost_the_order() -> None:
    world = weights(3, 1, 1, 1, 1, 1)
    world.shares = (1, 1, 1, 1, 1, 1)
    assert world.lost_checks() == {"lb.order": "fail"}


def cookies(**fields: object) -> World:
    world = World(**fields)  # type: ignore[arg-type]
    config("    balance roundrobin\n", "    balance roundrobin\n    cookie SERVERID insert\n")(world)
    return world


def test_a_sticky_cookie_passes_and_is_shown() -> None:
    world = cookies()
    assert world.lost_checks() == {}
    row = world.told("lb.cookie")
    assert row.verdict.value == "pass"
    assert "SERVERID: 12 of 12" in row.judgement.seen


def test_a_cookie_that_does_not_stick_is_told_and_costs_nothing() -> None:
    world = cookies(sticky=False)
    assert world.lost_checks() == {}
    row = world.told("lb.cookie")
    assert row.verdict.value == "skip"
    assert "of 12 came back" in row.judgement.seen


def test_clients_tied_by_a_stick_table_pass() -> None:
    world = World(order=[2] * 240, balances="stick on src", crash=crash_of([2] * 15))
    tied = "    stick-table type ip size 1k\n    stick on src\n"
    config("    balance roundrobin\n", f"    balance roundrobin\n{tied}")(world)
    assert world.lost_checks() == {}
    assert "source" in world.told("lb.algorithm").judgement.seen


def test_no_answers_to_the_experiment_cost_nothing() -> None:
    assert balanced("leastconn").lost_checks() == {}
    lost = replace_lost(balanced("leastconn"))
    assert lost == {"lb.order": "error"}


def replace_lost(world: World) -> dict[str, str]:
    world.lost = {"http_shots"}
    return world.lost_checks()


def test_the_experiment_is_alone_when_it_asks() -> None:
    world = balanced("leastconn")
    world.judge()
    waves = [wave for wave in world.asked if any(one.probe.name == "http_shots" for one in wave)]
    assert waves
    assert all(len(wave) == 1 for wave in waves)


def test_the_main_part_costs_no_experiment() -> None:
    world = World()
    world.judge()
    assert not [one for wave in world.asked for one in wave if one.alone]


def test_whoever_asks_the_vms_dns_server_finds_the_balancer() -> None:
    row = World(outside_rcode="NOERROR").told("lb.by-own-dns")
    assert row.verdict.value == "pass"
    assert "example.com is 10.77.0.11, and port 7000 answers there" in row.judgement.seen
    assert "test.example.com is A 93.184.216.34, which is not your VM" in row.judgement.seen
    assert "other names are not resolved for outside" in row.judgement.seen


@pytest.mark.parametrize(
    ("changes", "seen"),
    [
        ({"outside": {"udp": "timeout", "tcp": "timeout"}}, "no answer in time"),
        ({"door_outside": REFUSED, "outside_rcode": "NOERROR"}, "nobody answers there on port 7000"),
    ],
)
def test_the_way_by_the_vms_dns_server_costs_nothing(changes: dict[str, object], seen: str) -> None:
    world = World(**changes)  # type: ignore[arg-type]
    row = world.told("lb.by-own-dns")
    assert (row.verdict.value, row.score, row.check.points) == ("skip", 0, 0)
    assert seen in row.judgement.seen


def test_a_student_on_the_vm_is_not_told_what_outside_sees() -> None:
    local = replace(TARGET, is_local=True)
    applies = next(one.applies for one in LAB.checks if one.id == "lb.by-own-dns")
    assert applies is not None
    assert applies(local)
