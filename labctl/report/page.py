"""A run as one web page that needs nothing else: no network, no other file. No I/O but its own template.

Every text passes through :func:`plain`, Jinja escapes it, and the page's policy runs no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labctl.report.text import plain

_PARTS = Path(__file__).parent / "page_parts"
#: Of one observation's value so many characters are in the page; labctl show has the whole.
_VALUE = 1000
_VERDICTS = ("pass", "fail", "skip", "error")
_TOLD = ("answer", "expected", "seen", "hint")
_MARKS = {"pass": "✓", "fail": "✗", "skip": "–", "error": "!"}
#: The histogram: bins of ten percent, the last one is full marks.
_BINS = (*(f"{low}–{low + 9} %" for low in range(0, 100, 10)), "100 %")


def render_page(run: Mapping[str, Any]) -> str:
    """The page: students x checks, a card for every student, distributions."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(_PARTS),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = ((_PARTS / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; "
        "base-uri 'none'; form-action 'none'"
    )
    checks = _checks(run["hosts"])
    return environment.get_template("page.html").render(
        policy=policy,
        style=Markup(style),  # noqa: S704  the project's own file
        script=Markup(script),  # noqa: S704  the same
        run={key: _text(run[key] or "") for key in ("run", "lab", "title", "started")},
        checks=checks,
        rows=[_row(number, host, checks) for number, host in enumerate(run["hosts"])],
        cards=[_card(run, host) for host in run["hosts"]],
        figures=_figures(run["hosts"]),
        bins=_bins(run["hosts"]),
        marks=_MARKS,
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(value: object, limit: int = 600) -> str:
    return plain(str(value), limit=limit)


def _checks(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Every check that some VM has, in the lab's order, with how many came to what."""
    found: dict[str, dict[str, Any]] = {}
    for host in hosts:
        for check in host["checks"]:
            row = found.setdefault(
                check["id"],
                {
                    "id": _text(check["id"]),
                    "title": _text(check["title"]),
                    "points": f"{check['max_score']:g}",
                    "counts": dict.fromkeys(_VERDICTS, 0),
                },
            )
            row["counts"][check["verdict"]] += 1
    for row in found.values():
        row["total"] = sum(row["counts"].values())
        row["rate"] = round(100 * row["counts"]["pass"] / row["total"])
        start = 0.0
        row["bars"] = []
        for verdict, count in row["counts"].items():
            width = round(100 * count / row["total"], 2)
            if count:
                row["bars"].append({"verdict": verdict, "x": f"{start:g}", "width": f"{width:g}"})
            start += width
    return list(found.values())


def _row(number: int, host: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = {_text(check["id"]): check["verdict"] for check in host["checks"]}
    student = host.get("student") or {}
    return {
        "number": number,
        "host": _text(host["host"]),
        "name": _text(student.get("name") or host["host"]),
        "score": "" if host["score"] is None else f"{host['score']:g}",
        "kind": "lost" if host["score"] is None else "full" if host["score"] == host["max_score"] else "open",
        "state": "graded" if host["status"] == "graded" else _text(host["error_cause"] or "error"),
        "verdicts": [verdicts.get(check["id"], "") for check in checks],
    }


def _card(run: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """What the script shows when a student is chosen; all of it is text."""
    observations = (host.get("evidence") or {}).get("observations", {})
    student = host.get("student") or {}
    used = {key for check in host["checks"] for key in check["evidence"] if key in observations}
    known = host["score"] is not None
    return {
        "title": _text(student.get("name") or host["host"]),
        "facts": [
            _text(fact)
            for fact in (host["host"], student.get("email"), student.get("sid"), host.get("started"))
            if fact
        ],
        "score": f"{host['score']:g} of {host['max_score']:g} points" if known else "no complete grade",
        "error": _text(host["error"] or ""),
        "hint": _text(host["error_hint"] or ""),
        "left_out": [_text(f"{one['id']}: {one['reason']}") for one in host["left_out"]],
        "checks": [
            {
                "section": _text(run["sections"].get(check["section"], check["section"])),
                "id": _text(check["id"]),
                "title": _text(check["title"]),
                "verdict": check["verdict"],
                "score": "–" if check["score"] is None else f"{check['score']:g}",
                "max": f"{check['max_score']:g}",
                "told": [[label, _text(check[label])] for label in _TOLD if check.get(label)],
                "evidence": [_text(key) for key in check["evidence"] if key in used],
            }
            for check in host["checks"]
        ],
        "evidence": {_text(key): _observation(observations[key]) for key in sorted(used)},
    }


def _observation(row: Mapping[str, Any]) -> str:
    if "error" in row:
        told = f"not observed: {row['error']['cause']}: {row['error']['message']}"
    else:
        told = json.dumps(row["value"], indent=1, ensure_ascii=False)
    return _text(f"asked: {row['key']}\n{told}", _VALUE)


def _figures(hosts: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    scores = [host["score"] for host in hosts if host["score"] is not None]
    full = sum(1 for host in hosts if host["score"] is not None and host["score"] == host["max_score"])
    figures = [("VMs", str(len(hosts))), ("graded", str(len(scores))), ("full marks", str(full))]
    if scores:
        figures += [
            ("mean", f"{statistics.fmean(scores):.1f}"),
            ("median", f"{statistics.median(scores):g}"),
            ("lowest", f"{min(scores):g}"),
        ]
    return figures


def _bins(hosts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    counts = [0] * len(_BINS)
    for host in hosts:
        if host["score"] is not None and host["max_score"]:
            share = max(0.0, min(1.0, host["score"] / host["max_score"]))
            counts[len(_BINS) - 1 if share == 1 else int(share * 10)] += 1
    most = max(counts) or 1
    return [
        {"label": label, "count": count, "x": number * 50 + 5, "height": round(120 * count / most)}
        for number, (label, count) in enumerate(zip(_BINS, counts, strict=True))
    ]
