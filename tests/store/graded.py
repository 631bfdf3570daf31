"""Documents of graded VMs, as grade makes them, from VMs made of observations."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from world import LAB, TARGET, World

from labctl.grading import Graded, host_document
from labctl.grading.judge import leave_out_absent

STARTED = datetime(2026, 11, 21, 8, 0, tzinfo=UTC)


def document(host: str = "student1", world: World | None = None) -> dict[str, Any]:
    """One VM's document with its evidence; ``world`` may have something broken."""
    made = world or World()
    target = replace(TARGET, name=host)
    results, absent = leave_out_absent(made.judge(target))
    graded = Graded(
        target=made.target,
        results=results,
        evidence=made.evidence,
        left_out=absent,
        seconds=12.5,
        connections=1,
        round_trips=3,
        started=STARTED,
        restored=True,
    )
    return host_document(host, LAB, graded)
