"""A run as one web page that needs nothing else: no network, no other file. No I/O but its own template.

Every text passes through :func:`plain`, Jinja escapes it, and the page's policy runs no script but its own.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from labctl.report.stats_console import cause, names, pass_rate
from labctl.report.text import JOINERS, plain, points

_PARTS = Path(__file__).parent / "page_parts"
#: Of one observation's value so many characters are in the page; labctl show has the whole.
_VALUE = 1000
_VERDICTS = ("pass", "fail", "skip", "error")
_TOLD = ("answer", "expected", "seen", "hint")
_MARKS = {"pass": "✓", "fail": "✗", "skip": "–", "error": "!"}
#: How many names of VMs a row of a group shows.
_NAMES = 12


def render_page(run: Mapping[str, Any]) -> str:
    """The page: students x checks, a card for every student, and what they say together.

    The run has its ``statistics`` with it, as :func:`labctl.grading.statistics.statistics` makes them.
    """
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
    stats = run["statistics"]
    checks = _checks(stats)
    rows = [_row(number, host, checks) for number, host in enumerate(run["hosts"])]
    causes = [{**row, "cause": cause(row)} for row in stats["causes"]]
    return environment.get_template("page.html").render(
        policy=policy,
        style=Markup(style),  # noqa: S704  the project's own file
        script=Markup(script),  # noqa: S704  the same
        run={key: _text(run[key] or "") for key in ("run", "lab", "title", "started")},
        checks=checks,
        rows=rows,
        cards=[_card(run, host) for host in run["hosts"]],
        figures=_figures(stats, rows),
        bins=_bins(stats["distribution"]),
        layers=_groups(stats["layers"], stats["vms"]),
        broken=_groups(stats["first_broken"], stats["vms"]),
        causes=_groups(causes, stats["vms"]),
        marks=_MARKS,
    )


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _text(value: object, limit: int = 600) -> str:
    return plain(str(value), limit=limit)


def _name(host: Mapping[str, Any]) -> str:
    """Who a row or a card is of: the student by name, or else the VM."""
    name = (host.get("student") or {}).get("name")
    return plain(str(name), limit=600, keep=JOINERS) if name else _text(host["host"])


def _checks(stats: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every check that some VM has, in the lab's order, with how many came to what."""
    rows = []
    for check in stats["checks"]:
        counts = {verdict: check[verdict] for verdict in _VERDICTS}
        rows.append(
            {
                "id": _text(check["id"]),
                "title": _text(check["title"]),
                "points": points(check["max_score"]),
                "rate": pass_rate(check) or "–",
                "counts": counts,
                "bars": _bars(counts, sum(counts.values())),
            }
        )
    return rows


def _bars(counts: Mapping[str, int], total: int) -> list[dict[str, str]]:
    """Shares of a bar of 100, side by side."""
    bars = []
    start = 0.0
    for kind, count in counts.items():
        width = 100 * count / total
        if count:
            bars.append({"kind": kind, "x": f"{start:.2f}", "width": f"{width:.2f}"})
        start += width
    return bars


def _groups(rows: Sequence[Mapping[str, Any]], vms: int) -> list[dict[str, Any]]:
    """Rows that each count VMs, of ``vms`` in all."""
    return [
        {
            **{key: _text(value) for key, value in row.items() if isinstance(value, str)},
            "vms": row["vms"],
            "hosts": _text(names(row.get("hosts", ()), _NAMES)),
            "counts": {"VMs": row["vms"]},
            "bars": _bars({"bar": row["vms"]}, vms),
        }
        for row in rows
    ]


def _row(number: int, host: Mapping[str, Any], checks: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = {_text(check["id"]): check["verdict"] for check in host["checks"]}
    return {
        "number": number,
        "host": _text(host["host"]),
        "name": _name(host),
        "score": "" if host["score"] is None else points(host["score"]),
        "kind": "lost" if host["score"] is None else "full" if host["score"] == host["max_score"] else "open",
        "state": "graded" if host["status"] == "graded" else _text(host["error_cause"] or "error"),
        "verdicts": [verdicts.get(check["id"], "") for check in checks],
    }


def _card(run: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """What the script shows when a student is chosen; all of it is text."""
    observations = (host.get("evidence") or {}).get("observations", {})
    student = host.get("student") or {}
    used = {key for check in host["checks"] for key in check["evidence"] if key in observations}
    score = host["score"]
    told = "no complete grade" if score is None else f"{points(score)} of {points(host['max_score'])} points"
    return {
        "title": _name(host),
        "facts": [
            _text(fact)
            for fact in (host["host"], student.get("email"), student.get("sid"), host.get("started"))
            if fact
        ],
        "score": told,
        "error": _text(host["error"] or ""),
        "hint": _text(host["error_hint"] or ""),
        "left_out": [_text(f"{one['id']}: {one['reason']}") for one in host["left_out"]],
        "checks": [
            {
                "section": _text(run["sections"].get(check["section"], check["section"])),
                "id": _text(check["id"]),
                "title": _text(check["title"]),
                "verdict": check["verdict"],
                "score": "–" if check["score"] is None else points(check["score"]),
                "max": points(check["max_score"]),
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


def _figures(stats: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    full = sum(row["kind"] == "full" for row in rows)
    figures = [("VMs", str(stats["vms"])), ("graded", str(stats["graded"])), ("full marks", str(full))]
    scores = stats["scores"]
    if scores:
        figures += [
            ("mean", f"{scores['mean']:.1f}"),
            ("median", f"{scores['median']:g}"),
            ("lowest", f"{scores['lowest']:g}"),
        ]
    return figures


def _bins(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The bars of the distribution, on a ground of 560 x 120."""
    most = max((row["vms"] for row in rows), default=0) or 1
    room = 560 / max(1, len(rows))
    return [
        {
            "label": f"{row['from']:g}–{row['to']:g}",
            "count": row["vms"],
            "x": f"{number * room + room / 10:.1f}",
            "width": f"{room * 0.8:.1f}",
            "middle": f"{(number + 0.5) * room:.1f}",
            "height": round(120 * row["vms"] / most),
        }
        for number, row in enumerate(rows)
    ]
