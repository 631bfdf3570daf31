"""A run in the Test Anything Protocol, version 14. No I/O; remote text is escaped here.

https://testanything.org/tap-version-14-specification.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from labctl.report.text import plain


def render_tap(run: Mapping[str, Any]) -> str:
    """A test point for every check of every VM, with the reason in a YAML block when it did not pass."""
    points = [point for host in run["hosts"] for point in _points(host)]
    lines = ["TAP version 14", f"1..{len(points)}"]
    for number, (good, description, directive, told) in enumerate(points, 1):
        lines.append(f"{'ok' if good else 'not ok'} {number} - {_description(description)}{directive}")
        if told:
            lines += ["  ---", *(f"  {key}: {_yaml(value)}" for key, value in told.items()), "  ..."]
    return "\n".join([*lines, ""])


def _points(host: Mapping[str, Any]) -> Iterator[tuple[bool, str, str, dict[str, Any]]]:
    """Whether it counts as good, what it is, a directive, what is told of it."""
    if not host["checks"] and host["status"] != "graded":
        told = {"severity": "error", "message": host["error"] or "not judged", "hint": host["error_hint"]}
        yield False, f"{host['host']} is graded", "", told
    for check in host["checks"]:
        verdict = check["verdict"]
        what = f"{host['host']} {check['id']}: {check['title']}"
        if verdict == "pass":
            yield True, what, "", {}
        elif verdict == "skip":
            yield True, what, f" # SKIP {_description(check['seen'])}", {}
        else:
            told = {
                "severity": verdict,
                "score": check["score"],
                "max_score": check["max_score"],
                **{label: check[label] for label in ("expected", "seen", "hint")},
            }
            yield False, what, "", told


def _description(text: str) -> str:
    """One line in which nothing is a directive, neither to version 14 nor to parsers that know no escapes."""
    line = plain(text.replace("\n", " "), limit=600, multiline=False)
    return line.replace("\\", "\\\\").replace("#", "＃").strip()


def _yaml(value: object) -> str:
    """A JSON scalar is a YAML one."""
    text = plain(value, limit=600) if isinstance(value, str) else value
    return json.dumps(text, ensure_ascii=False)
