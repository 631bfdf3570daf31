"""What a class's results say together. From documents alone: no VM, no I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from labctl.grading.layers import first_broken

#: How many bars a distribution has at most.
BARS = 10


def statistics(hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The statistics of a run's VMs, given their documents.

    ``graded`` and ``not_graded`` count VMs, ``scores`` has ``mean``, ``median``, ``lowest``, ``highest``
    and ``max_score`` (None without a grade), ``distribution`` rows ``{"from", "to", "vms"}`` in points,
    ``checks`` rows with the verdicts counted and the ``pass_rate`` of those that were judged,
    ``first_broken`` rows ``{"section", "layer", "check", "title", "vms", "hosts"}``, the most frequent first:
    where each VM's services are broken first, and ``layers`` the same by ``{"section", "layer", "vms"}``.
    ``causes`` groups the VMs by what is between them and full
    marks: the ``checks`` that failed by themselves, or why there is no grade.
    """
    graded = [host for host in hosts if host["status"] == "graded"]
    broken = _first_broken(hosts)
    return {
        "vms": len(hosts),
        "graded": len(graded),
        "not_graded": len(hosts) - len(graded),
        "scores": _scores(graded),
        "distribution": _distribution(graded),
        "checks": _checks(hosts),
        "first_broken": broken,
        "layers": _layers(broken),
        "causes": _causes(hosts),
    }


def duplicates(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Groups of VMs that share what each should have for itself: ``{"what", "hosts"}``.

    ``what`` is host_key or machine_id. One VM is then graded under several names, or was copied from another.
    """
    groups: dict[tuple[str, str], list[str]] = {}
    for host in hosts:
        for what, value in (host.get("identity") or {}).items():
            if value:
                groups.setdefault((what, value), []).append(host["host"])
    return [{"what": what, "hosts": names} for (what, _), names in groups.items() if len(names) > 1]


def _scores(graded: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    if not graded:
        return None
    from statistics import fmean, median  # 3 ms of every command's start

    points = [float(host["score"]) for host in graded]
    return {
        "mean": round(fmean(points), 2),
        "median": round(median(points), 2),
        "lowest": min(points),
        "highest": max(points),
        "max_score": max(float(host["max_score"]) for host in graded),
    }


def _distribution(graded: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Bars of equal width from 0 to the highest there can be; full marks fall into the last."""
    most = max((float(host["max_score"]) for host in graded), default=0.0)
    if most <= 0:
        return []
    bars = min(BARS, max(1, round(most)))
    # in hundredths, as whole numbers: what is exactly on an edge belongs to the bar that begins there
    of = round(most * 100)
    counts = Counter(min(bars - 1, round(float(host["score"]) * 100) * bars // of) for host in graded)
    return [
        {"from": round(most * n / bars, 2), "to": round(most * (n + 1) / bars, 2), "vms": counts[n]}
        for n in range(bars)
    ]


def _checks(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each check, in the rubric's order."""
    rows: dict[str, dict[str, Any]] = {}
    for host in hosts:
        for check in host["checks"]:
            row = rows.setdefault(
                check["id"],
                {"id": check["id"], "title": check["title"], "max_score": check["max_score"]}
                | {"pass": 0, "fail": 0, "skip": 0, "error": 0, "points": 0.0},
            )
            row[check["verdict"]] += 1
            row["points"] = round(row["points"] + (check["score"] or 0.0), 2)
    for row in rows.values():
        judged = row["pass"] + row["fail"] + row["skip"]
        row["pass_rate"] = round(row["pass"] / judged, 4) if judged else None
    return list(rows.values())


def _first_broken(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    rows: dict[str, dict[str, Any]] = {}
    for host in hosts:
        for section in dict.fromkeys(check["section"] for check in host["checks"]):
            check = _first(host["checks"], section)
            if check is None:
                continue
            told = {"section": section, "layer": check.get("layer"), "check": check["id"]}
            row = rows.setdefault(check["id"], {**told, "title": check["title"], "vms": 0, "hosts": []})
            row["vms"] += 1
            row["hosts"].append(host["host"])
    return sorted(rows.values(), key=lambda row: (-row["vms"], row["check"]))


def _layers(broken: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts: Counter[tuple[str, str]] = Counter()
    for row in broken:
        if row["layer"]:
            counts[row["section"], row["layer"]] += row["vms"]
    return [
        {"section": section, "layer": layer, "vms": vms} for (section, layer), vms in counts.most_common()
    ]


def _first(checks: Sequence[Mapping[str, Any]], section: str) -> Mapping[str, Any] | None:
    """The check of a section that is to be mended first: in its lowest broken layer."""
    broken = first_broken(checks, section)
    if broken is not None:
        return next(check for check in checks if check["id"] == broken.check)
    return next((check for check in checks if check["section"] == section and _by_itself(check)), None)


def _by_itself(check: Mapping[str, Any]) -> bool:
    """Whether a check failed, and not because of another."""
    return check["verdict"] == "fail" and not check.get("blocked_by")


def _causes(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The VMs by cause: all the checks that failed by themselves, or why there is no grade."""
    groups: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for host in hosts:
        failed = tuple(check["id"] for check in host["checks"] if _by_itself(check))
        if host["status"] != "graded":
            key = (str(host["error_cause"] or "not judged"), failed)
        elif failed:
            key = ("failed", failed)
        else:
            key = ("nothing", ())
        groups.setdefault(key, []).append(host["host"])
    rows = [
        {"cause": cause, "checks": list(checks), "vms": len(names), "hosts": names}
        for (cause, checks), names in groups.items()
    ]
    return sorted(rows, key=lambda row: (-int(str(row["vms"])), str(row["cause"]), str(row["checks"])))
