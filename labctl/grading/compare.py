"""How two judgements of a VM differ, and two runs. From documents alone: no VM, no I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def compare(before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each VM of either run: ``host``, ``before``, ``after`` (points or None), ``checks``.

    ``checks`` are those that differ. ``error_before`` and ``error_after`` say why there are no points.
    A VM that is in one run only has ``only_in``: "before" or "after".
    """
    old = {host["host"]: host for host in before}
    new = {host["host"]: host for host in after}
    rows = []
    for name in dict.fromkeys([*old, *new]):
        was, now = old.get(name), new.get(name)
        rows.append(
            {
                "host": name,
                "only_in": "after" if was is None else "before" if now is None else None,
                "before": was and was["score"],
                "after": now and now["score"],
                "max_score": (now or was or {}).get("max_score"),
                "error_before": was and was["error"],
                "error_after": now and now["error"],
                "checks": differences(was, now) if was and now else [],
            }
        )
    return rows


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
