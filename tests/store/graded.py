"""Documents of graded VMs, as grade makes them, from VMs made of observations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from world import LAB, TARGET, World, applicable

from labctl.grading import Evidence, Graded, host_document, judge

STARTED = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def document(host: str = "student1", world: World | None = None) -> dict[str, Any]:
    """One VM's document with its evidence; ``world`` may have something broken."""
    made = world or World()
    target = replace(TARGET, name=host)
    evidence = Evidence()
    results = judge(applicable(target), target, evidence, made.fetch)
    graded = Graded(
        target=target,
        results=tuple(results),
        evidence=evidence,
        left_out=(),
        seconds=12.5,
        connections=1,
        round_trips=3,
        started=STARTED,
        restored=True,
    )
    return host_document(host, LAB, graded)
