"""How far a run is, by a clock of the test's own."""

from __future__ import annotations

from labctl.batch.progress import Progress


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_counts_and_what_is_left() -> None:
    clock = Clock()
    progress = Progress([f"vm{n}" for n in range(10)], 2, clock)
    progress.began("vm0")
    progress.began("vm1")
    assert (progress.done, progress.running, progress.left) == (0, ["vm0", "vm1"], None)
    clock.now += 10
    progress.ended("vm0", failed=False)
    progress.began("vm2")
    # 10 s each: vm1 ends now, vm2 in 10 s, and 7 more by two at a time
    assert (progress.done, progress.failed, progress.left) == (1, 0, (10 + 70) / 2)
    clock.now += 10
    progress.ended("vm1", failed=True)
    assert (progress.failed, progress.seconds) == (1, 20)


def test_at_the_end_nothing_is_left() -> None:
    clock = Clock()
    progress = Progress(["vm0", "vm1"], 25, clock)
    for name in ("vm0", "vm1"):
        progress.began(name)
    clock.now += 4
    progress.ended("vm0", failed=False)
    assert progress.left == 0
    progress.ended("vm1", failed=False)
    assert (progress.done, progress.left, progress.running) == (2, 0, [])


def test_a_host_that_never_began_counts_as_done_too() -> None:
    progress = Progress(["vm0"], 1)
    progress.ended("vm0", failed=True)
    assert (progress.done, progress.failed) == (1, 1)
