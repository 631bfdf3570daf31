"""Judging a VM again from what was seen of it before: today's checks, no VM."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from labctl.errors import CourseError
from labctl.grading.document import Unjudged, host_document, time_of
from labctl.grading.evidence import Evidence
from labctl.grading.grade import NOT_ASKED, Graded
from labctl.grading.judge import judge, leave_out_absent
from labctl.grading.lab import Lab
from labctl.grading.target import Target
from labctl.grading.verdict import Verdict


class LaterEvidence(CourseError):
    """Only a later version reads what was seen."""


def regrade(lab: Lab, earlier: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a VM by today's checks. ``earlier`` is its document of ``grade --json``.

    A check that asks for what was not observed then is an ERROR that says so, and stands in the document's
    ``not_recorded``: ids of checks, each with those of the observations that are not there. Raises
    :class:`LaterEvidence` for evidence of a format that only a later version reads.
    """
    try:
        seen = Evidence.from_json(evidence)
    except ValueError as err:
        raise LaterEvidence(
            f"{earlier['host']}: a later labctl wrote what was seen: {err}",
            hint="labctl show still shows that run",
        ) from err
    known = {one.name for one in fields(Target)}
    target = Target(**{name: value for name, value in earlier["target"].items() if name in known})
    skipped = {one["id"] for one in earlier["left_out"] if one["reason"] == NOT_ASKED}
    left_out = []
    chosen = []
    for each in lab.checks:
        one, reason = (each, NOT_ASKED) if each.id in skipped else each.on(target)
        if reason:
            left_out.append((one.id, reason))
        else:
            chosen.append(one)
    results, absent = leave_out_absent(judge(chosen, target, seen))
    graded = Graded(
        target=target,
        results=results,
        evidence=seen,
        left_out=tuple(left_out) + absent,
        seconds=earlier["seconds"],
        connections=earlier["connections"],
        round_trips=earlier["round_trips"],
        started=time_of(earlier["started"]),
        restored=earlier["restored"],
        tries=tuple(earlier.get("tries", ())),
        identity=earlier.get("identity", {}),
    )
    document = host_document(earlier["host"], lab, graded)
    del document["evidence"]
    if document["status"] == "error" and earlier.get("error_cause") not in (None, Unjudged.cause):
        # what was in the way then is why there is no grade now
        document |= {key: earlier[key] for key in ("error", "error_cause", "error_hint") if key in earlier}
    document["not_recorded"] = {
        one.check.id: sorted({each.id for each in one.used if seen.lacks(each)})
        for one in results
        if one.verdict is Verdict.ERROR and any(map(seen.lacks, one.used))
    }
    return document
