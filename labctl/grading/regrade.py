"""Judging a VM again from what was seen of it before: today's checks, no VM."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from labctl.errors import CourseError
from labctl.grading.document import host_document
from labctl.grading.evidence import Evidence
from labctl.grading.grade import Graded
from labctl.grading.judge import judge
from labctl.grading.lab import Lab
from labctl.grading.target import Target

#: Why a check was left out by whoever asked for the run, not by the check itself.
NOT_ASKED = "not asked for"


def regrade(lab: Lab, earlier: Mapping[str, Any], evidence: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a VM by today's checks. ``earlier`` is its document of ``grade --json``.

    A check that asks for what was not observed then is an ERROR that says so. Raises
    :class:`CourseError` for evidence of another format.
    """
    try:
        seen = Evidence.from_json(evidence)
    except ValueError as err:
        raise CourseError(f"{earlier['host']}: {err}", hint="labctl show still shows that run") from err
    target = Target(**earlier["target"])
    skipped = {one["id"] for one in earlier["left_out"] if one["reason"] == NOT_ASKED}
    left_out = []
    chosen = []
    for one in lab.checks:
        reason = NOT_ASKED if one.id in skipped else one.applies(target) if one.applies else ""
        if reason:
            left_out.append((one.id, reason))
        else:
            chosen.append(one)
    results = judge(chosen, target, seen)
    graded = Graded(
        target=target,
        results=tuple(results),
        evidence=seen,
        left_out=tuple(left_out),
        seconds=earlier["seconds"],
        connections=earlier["connections"],
        round_trips=earlier["round_trips"],
        started=datetime.strptime(earlier["started"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc),
        restored=earlier["restored"],
    )
    document = host_document(earlier["host"], lab, graded)
    del document["evidence"]
    return document


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What judging again changed: a row per check, with ``id``, ``before``, ``after`` and ``why``.

    ``before`` and ``after`` are ``{"verdict", "score", "max_score"}``, None where the check was not there.
    """
    old = {one["id"]: one for one in before["checks"]}
    new = {one["id"]: one for one in after["checks"]}
    rows = []
    for key in [*old, *(key for key in new if key not in old)]:
        was, now = _score(old.get(key)), _score(new.get(key))
        if was != now:
            told = new.get(key, {})
            rows.append(
                {"id": key, "before": was, "after": now, "why": told.get("seen", "") if now else "left out"}
            )
    return rows


def _score(check: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if check is None else {key: check[key] for key in ("verdict", "score", "max_score")}
