"""What a lab says of its workers is looked at when the experiment is asked for, not when they are down."""

from __future__ import annotations

import re

import pytest

from labctl.probes import CrashReport, Request, crash_experiment


def asked(crash_says: str) -> Request[CrashReport]:
    return crash_experiment(
        workers=range(9000, 9003),
        balancer=9100,
        crash_path="/end",
        crash_says=crash_says,
        stats=9101,
        stats_path="/stats;csv",
        proxy="shop",
        servers=3,
        down_within=5.0,
        up_within=5.0,
        config="",
    )


def test_a_lab_has_words_of_its_own() -> None:
    args = asked(r"bye, I was (\d)").args
    assert (args["crash_path"], args["crash_says"]) == ("/end", r"bye, I was (\d)")


@pytest.mark.parametrize("odd", ["bye", "(", "(?:bye)"])
def test_words_without_a_number_are_refused(odd: str) -> None:
    with pytest.raises((ValueError, re.error)):
        asked(odd)
