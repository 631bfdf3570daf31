"""Every check of lab 7: a right VM passes, and each way to be wrong costs exactly what it should."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from lab7_cases import CASES, Case, dependants, one_dead
from lab7_variants import VARIANTS
from world import LAB, REFUSED, SILENT, TARGET, World, applicable, greeting, mount, right_crash, states

from labctl.grading import Evidence, judge
from labctl.probes import (
    Observed,
    Record,
    Replies,
    Reply,
    Request,
    ServerState,
    Settled,
    ShareTrial,
    WriteTrial,
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_fault_costs_its_own_checks_and_what_comes_after_them(case: Case) -> None:
    world = World()
    case.breaks(world)
    lost = world.lost_checks()
    expected = dict.fromkeys(case.lost, "fail") | dict.fromkeys(dependants(*case.lost), "skip")
    expected |= dict.fromkeys(case.lost, "fail")
    assert lost == expected
    for result in world.judge():
        if result.verdict.value == "fail":
            assert result.judgement.hint
            assert result.judgement.expected
            assert result.judgement.seen
            assert len(result.judgement.hint) < 200
        assert 0 <= result.score <= result.check.points
        passed = result.verdict.value == "pass"
        assert (result.score == result.check.points) == (passed or result.check.optional)


def test_a_right_vm_has_full_marks() -> None:
    results = World().judge()
    assert {one.verdict.value for one in results if not one.check.optional} == {"pass"}
    assert sum(one.score for one in results) == sum(one.points for one in applicable()) == 60


def test_what_only_looks_takes_two_waves_and_asks_for_nothing_twice() -> None:
    world = World()
    world.target = TARGET
    waves: list[Sequence[Request[Any]]] = []

    def fetch(wave: Sequence[Request[Any]]) -> dict[str, Observed[Any]]:
        waves.append(wave)
        return world.fetch(wave)

    checks = [one for one in applicable() if not one.disruptive]
    found = judge(checks, TARGET, Evidence(), fetch)
    assert {one.verdict.value for one in found if not one.check.optional} == {"pass"}
    # the second is for the names in the student's zone
    assert len(waves) == 2
    queries = [
        (one.vantage, one.args["tcp"], one.args["type"], one.args["name"].lower().rstrip("."))
        for wave in waves
        for one in wave
        if one.probe.name == "dns"
    ]
    assert len(queries) == len(set(queries)) == 13


@pytest.mark.parametrize("name", VARIANTS)
def test_an_honest_variant_has_full_marks(name: str) -> None:
    world = World()
    VARIANTS[name](world)
    assert world.lost_checks() == {}


#: A probe that cannot be observed never costs a point: whatever depends on it is an ERROR.
@pytest.mark.parametrize(
    "probe",
    ["packages", "units", "mounts", "bind", "haproxy", "http", "dns", "dns-outside", "http-outside",
     "directory", "share_trial", "write_trial", "crash", "sockets", "addresses"],
)  # fmt: skip
def test_what_cannot_be_observed_is_an_error_and_never_a_failure(probe: str) -> None:
    lost = World(lost={probe}).lost_checks()
    assert lost
    assert set(lost.values()) == {"error"}


def test_health_checks_that_take_longer_than_is_waited_are_not_judged() -> None:
    world = World(crash=replace(right_crash(), down=Settled(False, 40.0, states())))
    world.haproxy = replace(
        world.haproxy, text=world.haproxy.text.replace(" check", " check inter 15s fall 3")
    )
    assert world.lost_checks()["lb.crash-down"] == "error"
    world.haproxy = replace(world.haproxy, text=world.haproxy.text.replace("inter 15s", "inter 1h"))
    assert world.lost_checks()["lb.crash-down"] == "fail"


def test_the_firewall_is_looked_at_where_something_does_not_get_through() -> None:
    assert World(lost={"firewall"}).lost_checks() == {}
    shut = {"udp": "timeout", "tcp": "answered"}
    assert World(outside=shut).lost_checks() == {"dns.outside-udp": "fail"}
    assert World(outside=shut, lost={"firewall"}).lost_checks() == {"dns.outside-udp": "error"}


def test_a_stale_mount_is_nobodys_fault_while_the_server_answers_nobody() -> None:
    world = World(mounts=[mount(answers="hung", entries=())], share=ShareTrial("", "timed out", (), "", 30.0))
    assert world.lost_checks()["nfs.responds"] == "error"


def test_a_mount_that_only_was_slow_passes() -> None:
    class Slow(World):
        def observe(self, request: object) -> object:
            if request.probe.name == "mounts":  # type: ignore[attr-defined]
                slow = request.args["touch"] < 20  # type: ignore[attr-defined]
                self.mounts = [mount(answers="hung", entries=()) if slow else mount()]
            return super().observe(request)  # type: ignore[arg-type]

    assert Slow().lost_checks() == {}


def test_a_slow_worker_is_looked_at_again() -> None:
    class Slow(World):
        def _http(self, args: dict[str, object], outside: bool) -> Replies:
            if args["port"] == 8083 and args["attempt"] == 1:
                return SILENT
            return super()._http(args, outside)

    assert Slow().lost_checks() == {}


@pytest.mark.parametrize(
    ("fresh", "said"),
    [
        (ShareTrial("staff2:/opt/lab7/private/alice", "", (), "EROFS", 1.0), "through a fresh mount: EROFS"),
        (
            ShareTrial("staff2:/opt/lab7/private/alice", "", (), "EACCES", 1.0),
            "through a fresh mount: EACCES",
        ),
        (ShareTrial("", "access denied by server", (), "", 1.0), "access denied by server"),
    ],
)
def test_a_server_that_lets_this_vm_write_nothing_is_for_staff(fresh: ShareTrial, said: str) -> None:
    world = World(write=WriteTrial(False, "EROFS", "unasked", True), fresh=fresh)
    assert world.lost_checks() == {"nfs.write": "error", "nfs.write-on-server": "error"}
    told = world.told("nfs.write").judgement
    assert said in told.seen
    assert "staff: look at the server's exports" in told.hint


def test_a_fresh_mount_is_only_tried_when_nothing_could_be_written() -> None:
    world = World()
    world.judge()
    tried = [one for wave in world.asked for one in wave if one.probe.name == "share_trial"]
    assert all("private" not in one.args["sources"][0] for one in tried)


def test_the_public_share_can_only_pass_or_be_unjudged() -> None:
    for create in ("created", "EACCES", ""):
        world = World(share=ShareTrial("s:/opt/lab7/public" if create else "", "refused", (), create, 1.0))
        assert world.lost_checks() == {"nfs.public-readonly": "error"}


def test_a_vm_not_restored_is_for_staff() -> None:
    world = World(crash=replace(right_crash(), restored=False, problems=("not listening again",)))
    assert world.lost_checks() == {"lb.recovered": "error"}


def test_workers_that_come_back_by_themselves_are_for_staff() -> None:
    greeted = Replies((Reply(200, "Hello, I am ID 5\n", ""),) * 2, 0.1)
    world = World(crash=replace(right_crash(), staying=(8085,), empty=greeted))
    assert world.lost_checks() == {"lb.crash-503": "error", "lb.recovered": "error"}
    assert "start server.py by itself" in world.told("lb.crash-503").judgement.hint


def test_a_worker_that_was_started_again_before_it_was_noticed_is_no_fault_of_the_balancer() -> None:
    greeted = Replies((Reply(200, "Hello, I am ID 5\n", ""),) * 2, 0.1)
    unnoticed = replace(
        right_crash(), down=Settled(False, 12.0, states()), staying=(8080, 8085), empty=greeted
    )
    world = World(crash=replace(unnoticed, respawned=(8080, 8085)))
    assert set(world.lost_checks().values()) == {"error"}
    assert "8080 was started again at once" in world.told("lb.crash-down").judgement.seen
    # a little later
    back = Replies(tuple(greeting(n) for n in range(6)), 0.4)
    told = World(crash=replace(right_crash(), rotation=back, respawned=(8080,))).lost_checks()
    assert told == {"lb.crash-rotation": "error"}
    assert World(crash=replace(right_crash(), rotation=back)).lost_checks() == {"lb.crash-rotation": "fail"}
    # gone for a moment only: a request that came a moment later was answered
    told = World(crash=replace(right_crash(), empty=greeted, respawned=(8085,))).lost_checks()
    assert told == {"lb.crash-503": "error", "lb.recovered": "error"}
    # the same processes as before: they do not crash when they are told to
    lost = World(crash=unnoticed).lost_checks()
    assert (lost["lb.crash-down"], lost["lb.crash-503"]) == ("fail", "fail")


def test_an_experiment_that_was_not_begun_costs_nothing() -> None:
    from labctl.probes import CrashReport

    world = World(crash=CrashReport.not_begun("the workers run in a container"))
    assert set(world.lost_checks().values()) == {"error"}


def test_reading_takes_two_waves_on_the_vm_and_breaking_waits_for_the_rest() -> None:
    world = World()
    world.judge()
    reading = [wave for wave in world.asked if not any(one.disruptive for one in wave)]
    breaking = [wave for wave in world.asked if any(one.disruptive for one in wave)]
    assert sum(any(one.vantage == "vm" for one in wave) for wave in reading) <= 2
    assert all(len(wave) == 1 for wave in breaking)
    assert world.asked.index(breaking[0]) == len(reading)
    keys = [one.key for wave in world.asked for one in wave]
    assert len(keys) == len(set(keys)), "nothing is observed twice"


def test_nothing_disruptive_is_begun_when_what_it_needs_failed() -> None:
    world = World()
    one_dead(world)
    world.mounts = []
    world.judge()
    assert not [one for wave in world.asked for one in wave if one.disruptive]


@pytest.mark.parametrize(("way", "vantage"), [(0.02, "outside"), (1.5, "vm")])
def test_a_longer_sample_is_taken_from_where_it_is_there_soon(way: float, vantage: str) -> None:
    """Over a link that loses packets 120 requests would take all the time that the experiment needs."""
    world = World(turns_count=True, order=[*[4, 5, 0, 1] * 9, *[2, 3, 4, 5, 0, 1] * 90], way=way)
    assert world.lost_checks() == {}
    (longer,) = {
        one.vantage
        for wave in world.asked
        for one in wave
        if one.probe.name == "http" and one.args["count"] > 24
    }
    assert longer == vantage


def test_a_bare_vm_has_nothing_and_a_hint_everywhere() -> None:
    world = World(
        installed=set(), units={}, mounts=[], named="refused", port_53=(), workers=set(), door=REFUSED,
        door_outside=SILENT, page=REFUSED, page_outside=SILENT,
        share=ShareTrial("", "no mount.nfs", (), "", 0.1),
        outside={"udp": "timeout", "tcp": "timeout"},
    )  # fmt: skip
    world.bind = replace(world.bind, installed=False, config_valid=False, text="", zone_file="", records=())
    world.haproxy = replace(world.haproxy, installed=False, valid=False, text="", state=())
    results = world.judge()
    assert sum(one.score for one in results) == 0
    for one in results:
        assert one.verdict.value in ("fail", "skip")
        assert one.judgement.hint


def test_only_one_check_brings_what_it_needs() -> None:
    chosen = [one.id for one in LAB.choose(["dns.apex-address"])]
    assert chosen == ["dns.package", "dns.config", "dns.zone", "dns.answers", "dns.apex-address"]


def test_servers_that_are_not_the_labs_change_nothing() -> None:
    world = World()
    world.haproxy = replace(world.haproxy, state=(*states(), ServerState("other", "x", "DOWN", "")))
    assert world.lost_checks() == {}


def test_the_rubric_has_what_the_lab_promises() -> None:
    counts = {key: sum(LAB.section_of(one) == key for one in LAB.checks) for key in LAB.sections}
    assert counts["nfs"] >= 8
    assert counts["dns"] >= 8
    assert counts["lb"] >= 10
    assert all(one.title.endswith(".") and len(one.title) < 80 for one in LAB.checks)
    assert TARGET.port(53) == 20053


@pytest.mark.parametrize(
    ("line", "waited", "verdict"),
    [
        ("check", 19.0, "fail"),
        ("check downinter 30s", 40.0, "error"),
        ("check inter 20s rise 3", 40.0, "error"),
        ("check inter 20s fastinter 1s rise 3", 37.0, "fail"),
        ("check", 6.0, "error"),
        ("check inter 1h", 40.0, "fail"),
    ],
)
def test_servers_that_had_not_the_time_of_their_health_checks_to_come_up_are_not_judged(
    line: str, waited: float, verdict: str
) -> None:
    world = World(crash=replace(right_crash(), up=Settled(False, waited, states([0]))))
    world.haproxy = replace(world.haproxy, text=world.haproxy.text.replace(" check", f" {line}"))
    assert world.told("lb.recovered").verdict.value == verdict


def test_servers_that_come_up_in_time_pass_and_it_is_told_when() -> None:
    world = World()
    world.haproxy = replace(world.haproxy, state=states([4, 5]))
    assert world.told("lb.all-up").judgement.seen == "6 servers UP (after 3 s, 4 looks)"


def test_servers_that_do_not_come_up_fail_when_their_checks_time_is_over() -> None:
    world = World(never_up=True)
    world.haproxy = replace(world.haproxy, state=states([4, 5]))
    result = world.told("lb.all-up")
    assert result.verdict.value == "fail"
    # two checks at 2 s each, and the slack for a slow VM
    assert "s4 DOWN, s5 DOWN (not within 10 s" in result.judgement.seen
    assert 10 <= world.now < 13


def test_a_dead_worker_is_not_waited_for() -> None:
    world = World()
    one_dead(world)
    world.judge()
    assert world.now == 0


def older(world: World) -> tuple[Record, ...]:
    """What the zone was before the file was edited."""
    soa = replace(world.served[0], data=world.served[0].data.replace(" 7 ", " 6 "))
    return (soa, *[one for one in world.served[1:] if one.type != "TXT"])


def test_a_zone_that_is_being_loaded_passes_and_it_is_told_when() -> None:
    world = World()
    world.loading, world.served = world.served, older(world)
    result = world.told("dns.reloaded")
    assert result.verdict.value == "pass"
    assert "serial 7 (after 3 s, 4 looks)" in result.judgement.seen


def test_a_zone_that_is_not_loaded_fails_after_a_moment() -> None:
    world = World()
    world.served = older(world)
    result = world.told("dns.reloaded")
    assert result.verdict.value == "fail"
    assert "serial 6 is served and 7 is in the file" in result.judgement.seen
    assert "(not within 3 s" in result.judgement.seen
    assert world.now <= 4
