"""The balancing experiment before a real HAProxy: every algorithm has its name, in words or with others."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from balanced import Balanced, balanced
from balancers import TRIAL
from waiting import wait_for

from labctl.agent import Agent, start_agent
from labctl.deadline import Deadline
from labctl.inventory import local_host
from labctl.probes import Observer, Request, ShotReplies, StaffLink, Unobserved, http_sample, http_shots
from labctl.probes.haproxy import parse_running, parse_state
from labctl.probes.haproxy_config import parse_config
from labctl.probes.http import sample_outside

pytestmark = [
    pytest.mark.slow,
]

EVEN = dict.fromkeys(range(6), 1)
WEIGHTS = dict(enumerate((3, 1, 2, 1, 1, 1)))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Balanced]:
    with balanced(tmp_path) as made:
        made.start_workers()
        yield made


@pytest.fixture(scope="module")
def agent() -> Iterator[Agent]:
    with start_agent(local_host(), Deadline.after(20)) as started:
        yield started


def ask(agent: Agent, request: Request[ShotReplies]) -> ShotReplies:
    found = Observer(agent, StaffLink(None)).fetch([request], Deadline.after(60))[request.key].value
    assert not isinstance(found, Unobserved), found
    return found


def experiment(lab: Balanced, agent: Agent, balance: str, weights: dict[int, int]):  # type: ignore[no-untyped-def]
    request = http_shots("127.0.0.1", lab.door, TRIAL.plan(balance, weights))
    return TRIAL.found_by(balance, weights, ask(agent, request))


@pytest.mark.parametrize(
    ("balance", "names"),
    [
        ("roundrobin", {"roundrobin", "static-rr"}),
        ("static-rr", {"roundrobin", "static-rr"}),
        ("leastconn", {"leastconn"}),
        ("random", {"random"}),
        ("random(1)", {"random"}),
        ("source", {"source", "hash"}),
        ("source\n  hash-type consistent", {"source", "hash"}),
        ("roundrobin\n  stick-table type ip size 1k\n  stick on src", {"source", "hash"}),
        ("hdr(User-Agent)", {"hdr", "url_param", "hash"}),
        ("hdr(X-Who)", {"hdr", "url_param", "hash"}),
        ("url_param who", {"hdr", "url_param", "hash"}),
        ("uri whole", {"hdr", "url_param", "hash"}),
        ("first", {"first", "uri", "hash"}),
    ],
)
def test_every_algorithm_has_its_name(lab: Balanced, agent: Agent, balance: str, names: set[str]) -> None:
    lab.start_balancer(balance)
    found = experiment(lab, agent, balance.splitlines()[0], EVEN)
    assert set(found.named.names) == names, found
    assert found.named.chance < 1e-4
    assert found.errors == ()


def test_uri_is_named_perhaps_with_first(lab: Balanced, agent: Agent) -> None:
    lab.start_balancer("uri")
    assert "uri" in experiment(lab, agent, "uri", EVEN).named.names


def test_first_is_named_alone_where_connections_are_limited(lab: Balanced, agent: Agent) -> None:
    lab.start_balancer("first", check="check inter 100ms maxconn 1")
    assert experiment(lab, agent, "first", EVEN).named.names == ("first",)


@pytest.mark.parametrize("balance", ["roundrobin", "static-rr"])
def test_weights_are_seen(lab: Balanced, agent: Agent, balance: str) -> None:
    lab.start_balancer(balance, each="weight=30 weight=10 weight=20 weight=10 weight=10 weight=10")
    assert experiment(lab, agent, balance, WEIGHTS).named.weights == WEIGHTS


@pytest.mark.parametrize(
    ("balance", "name"), [("leastconn", "leastconn"), ("random", "random"), ("source", "source")]
)
def test_weights_do_not_hide_the_name(lab: Balanced, agent: Agent, balance: str, name: str) -> None:
    lab.start_balancer(balance, each="weight=3 weight=1 weight=2 weight=1 weight=1 weight=1")
    found = experiment(lab, agent, balance, WEIGHTS)
    assert name in found.named.names
    assert found.named.weights == {}


def test_cookies_bring_clients_back(lab: Balanced, agent: Agent) -> None:
    lab.start_balancer(
        "roundrobin\n  cookie SERVERID insert", each=" ".join(f"cookie=c{n}" for n in range(6))
    )
    found = experiment(lab, agent, "roundrobin", EVEN)
    assert set(found.named.names) == {"roundrobin", "static-rr"}
    assert found.cookies == {n: f"SERVERID=c{n}" for n in range(6)}
    shots = TRIAL.returning(found.cookies)
    replies = ask(agent, http_shots("127.0.0.1", lab.door, [shot for shot, _ in shots])).replies
    assert [one.body for one in replies] == [f"Hello, I am ID {wanted}\n" for _, wanted in shots]


def test_a_sample_from_outside_brings_no_cookie_back(lab: Balanced) -> None:
    """Each request is a new client's, or all would meet one server."""
    lab.start_balancer(
        "roundrobin\n  cookie SERVERID insert", each=" ".join(f"cookie=c{n}" for n in range(6))
    )
    args = http_sample("127.0.0.1", lab.door, count=12, vantage="outside").args
    assert len({one.body for one in sample_outside(args, 20).replies}) == 6


def test_held_requests_are_answered_in_the_end_and_say_that_they_were_open(
    lab: Balanced, agent: Agent
) -> None:
    lab.start_balancer()
    replies = ask(agent, http_shots("127.0.0.1", lab.door, TRIAL.plan("roundrobin", EVEN))).replies
    held = [one for one in replies if one.held]
    assert len(held) == 5
    assert len({one.body for one in held}) == 5
    assert all(one.status == 200 for one in held)


def test_a_balancer_that_keeps_the_request_until_it_is_whole_holds_nobody_busy(
    lab: Balanced, agent: Agent
) -> None:
    """Then roundrobin and leastconn do the same, and both are named."""
    lab.start_balancer("leastconn\n  option http-buffer-request")
    kitchen = parse_config((lab.folder / "haproxy.cfg").read_text())[-1]
    assert kitchen.buffers
    replies = ask(agent, http_shots("127.0.0.1", lab.door, TRIAL.plan("leastconn", EVEN)))
    found = TRIAL.found_by("leastconn", EVEN, replies, not kitchen.buffers)
    assert set(found.named.names) == {"leastconn", "roundrobin", "static-rr"}


def test_nobody_there_is_told_at_once(lab: Balanced, agent: Agent) -> None:
    began = time.monotonic()
    replies = ask(agent, http_shots("127.0.0.1", lab.door, TRIAL.plan("", EVEN))).replies
    assert [one.error for one in replies] == ["refused", "refused"]
    assert time.monotonic() - began < 5


def test_haproxy_tells_how_it_balances(lab: Balanced, agent: Agent) -> None:
    from labctl.agent.remote.probes.haproxy import ask_socket

    lab.start_balancer("leastconn\n  cookie SERVERID insert", each="weight=7 " + "weight=1 " * 5)
    wait_for(lambda: "UP" in ask_socket(lab.socket_line, "show stat\n", 2.0), "statistics")
    text = ask_socket(lab.socket_line, "show stat\n", 2.0)
    kitchen = next(one for one in parse_running(text) if one.proxy == "kitchen")
    assert (kitchen.algorithm, kitchen.cookie) == ("leastconn", "SERVERID")
    assert [one.weight for one in parse_state(text) if one.proxy == "kitchen"] == [7, 1, 1, 1, 1, 1]
