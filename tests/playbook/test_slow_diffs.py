"""Diffs of what a VM made up: difflib alone took minutes for these."""

from __future__ import annotations

import difflib
from random import Random

import pytest
from cpu import within_seconds_of_cpu

from labctl.playbook.diffs import LONGEST, unified_diff
from labctl.playbook.result import unified

NAMES = ("before: x", "after: x")


def lines(count: int, kinds: int, seed: int) -> str:
    random = Random(seed)
    return "".join(f"{random.randrange(kinds)}\n" for _ in range(count))


@pytest.mark.parametrize(("count", "kinds"), [(20_000, 150), (400_000, 200), (5000, 110), (30_000, 30_000)])
def test_a_diff_that_was_made_to_be_slow_is_made(count: int, kinds: int) -> None:
    with within_seconds_of_cpu(1.0):
        told = unified({"before": lines(count, kinds, 1), "after": lines(count, kinds, 2)})
    assert told.startswith("--- before\n+++ after\n@@ -1")


def test_many_files_and_keys_are_shown_up_to_a_bound() -> None:
    one = {"before": lines(3000, 110, 1), "after": lines(3000, 110, 2)}
    with within_seconds_of_cpu(6.0):
        unified([one] * 200)
        unified({"before": {str(n): n for n in range(200_000)}, "after": {"1": 2}})


def test_a_diff_is_that_of_difflib() -> None:
    random = Random(3)
    for _ in range(200):
        old = lines(random.randrange(60), 30, random.randrange(99)).splitlines(keepends=True)
        new = list(old)
        for _ in range(random.randrange(5)):
            at = random.randrange(len(new) + 1)
            new[at : at + random.randrange(4)] = [f"{random.randrange(30)}\n"] * random.randrange(3)
        assert list(unified_diff("".join(old), "".join(new), NAMES)) == list(
            difflib.unified_diff(old, new, *NAMES)
        )


def test_a_line_that_changed_in_a_long_file_is_found() -> None:
    old = [f"option {n}\n" for n in range(5000)]
    new = [*old[:4000], "another\n", *old[4001:]]
    told = list(unified_diff("".join(old), "".join(new), NAMES))
    assert told == list(difflib.unified_diff(old, new, *NAMES))
    assert "(1 more characters)" in "".join(unified_diff("a" * (LONGEST + 1), "b", NAMES))
