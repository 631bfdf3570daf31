"""The name of a balancing algorithm is right, and wrong no more often than it says: each one simulated."""

from __future__ import annotations

from random import Random

import pytest
from balancers import ALGORITHMS, NAMING, TRIAL, answers, backend

from labctl.probes import Shot

EVEN = (1, 1, 1, 1, 1, 1)
RUNS = 150


@pytest.mark.parametrize("strangers", [0.0, 0.02])
@pytest.mark.parametrize("told", ALGORITHMS)
def test_the_whole_experiment_names_every_algorithm(told: str, strangers: float) -> None:
    word, make = ALGORITHMS[told]
    wrong, stated = [], 0.0
    for seed in range(RUNS):
        random = Random(seed)
        seen = answers(make(EVEN, random), TRIAL.plan(backend(EVEN)), strangers)
        named = NAMING.name(seen, range(6))
        stated += named.chance
        if word not in named.names:
            wrong.append((seed, named))
    assert len(wrong) <= stated, wrong[:3]
