"""The name of a balancing algorithm is right, and wrong no more often than it says: each one simulated."""

from __future__ import annotations

from random import Random

import pytest
from balancers import ALGORITHMS, NAMING, TRIAL, answers

from labctl.probes import Shot

pytestmark = pytest.mark.slow

EVEN = dict.fromkeys(range(6), 1)
WEIGHTED = dict(enumerate((3, 1, 2, 1, 1, 1)))
STEEP = dict(enumerate((10, 1, 1, 1, 1, 1)))
#: Strangers' requests for each of ours.
STRANGERS = 0.01


def named(told: str, seed: int, weights: dict[int, int], strangers: float = STRANGERS):  # type: ignore[no-untyped-def]
    random = Random(seed)
    balancer = ALGORITHMS[told][1](tuple(weights.values()), random)
    shots = TRIAL.plan(told, weights)
    return NAMING.name(answers(balancer, shots, strangers), weights, max(36, sum(weights.values())))


@pytest.mark.parametrize("weights", [EVEN, WEIGHTED, STEEP], ids=["even", "weighted", "steep"])
@pytest.mark.parametrize("told", ALGORITHMS)
def test_the_whole_experiment_names_every_algorithm(told: str, weights: dict[int, int]) -> None:
    word = ALGORITHMS[told][0]
    found = [named(told, seed, weights) for seed in range(60)]
    wrong = [one for one in found if word not in one.names]
    assert len(wrong) <= sum(one.chance for one in found), wrong[:3]


#: What the experiment tells apart with six servers of one weight: nothing else is named with it.
TOLD = {
    "roundrobin": {"roundrobin", "static-rr"},
    "static-rr": {"roundrobin", "static-rr"},
    "leastconn": {"leastconn"},
    "random": {"random"},
    "source": {"source", "hash"},
    "hdr(User-Agent)": {"hdr", "url_param", "hash"},
    "url_param asked": {"hdr", "url_param", "hash"},
    "first": {"first", "uri", "hash"},
    "first, maxconn 1": {"first"},
}


@pytest.mark.parametrize("told", TOLD)
def test_the_experiment_says_no_more_names_than_it_must(told: str) -> None:
    for seed in range(20):
        assert set(named(told, seed, EVEN, 0.0).names) == TOLD[told]


@pytest.mark.parametrize("weights", [EVEN, WEIGHTED, STEEP], ids=["even", "weighted", "steep"])
@pytest.mark.parametrize("told", ["roundrobin", "static-rr"])
def test_weights_show_in_the_order(told: str, weights: dict[int, int]) -> None:
    assert all(named(told, seed, weights, 0.0).weights == weights for seed in range(40))


@pytest.mark.parametrize("count", [3, 6, 10, 20, 40])
@pytest.mark.parametrize("doubt", [0.3, 0.05])
def test_a_name_is_wrong_no_more_often_than_it_says(count: int, doubt: float) -> None:
    """Small samples and a low bar, so that there is something to be wrong about."""
    plan = TRIAL.plan("", EVEN)
    wrong = stated = 0.0
    # as many ways as there are hypotheses, each as likely as the next: what the chance is computed for
    ways = ["roundrobin", "leastconn", "random", "source", "url_param asked", "uri", "first"]
    for seed in range(700):
        random = Random(seed * 41 + count)
        word, make = ALGORITHMS[ways[seed % len(ways)]]
        shots = [plan[at] for at in sorted(random.sample(range(len(plan)), count))]
        found = NAMING.name(answers(make((1,) * 6, random), shots, STRANGERS), EVEN, doubt=doubt)
        wrong += word not in found.names
        stated += found.chance
    # two standard deviations of what 700 draws may differ by
    assert wrong <= stated + 2 * (stated + 1) ** 0.5


def test_what_is_not_told_apart_is_not_guessed() -> None:
    """One client alone, nobody busy: three algorithms do the same."""
    seen = [NAMING.Seen(n % 6) for n in range(24)]
    assert set(NAMING.name(seen, EVEN).names) == {"roundrobin", "static-rr", "leastconn"}


def test_nothing_is_said_where_there_is_nothing_to_choose() -> None:
    assert NAMING.name([NAMING.Seen(3)] * 24, {3: 1}).names == ()
    assert NAMING.name([], EVEN).names == ()


def test_no_sample_proves_everything() -> None:
    assert named("roundrobin", 1, EVEN).chance >= 1e-9


def test_a_cookie_is_sent_back_in_no_order_that_goes_round() -> None:
    shots = TRIAL.returning({2: "SERVERID=c", 4: "SERVERID=e", 5: "SERVERID=f"})
    assert {one for _, one in shots} == {2, 4}
    assert shots[0] == (Shot(headers=(("Cookie", "SERVERID=c"),)), 2)
    turns = [one for _, one in shots]
    assert turns != [turns[0], turns[1]] * (len(turns) // 2)
