"""results.json, as Gradescope's autograder documentation has it. No I/O; remote text is escaped here.

https://gradescope-autograders.readthedocs.io/en/latest/specs/
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from labctl.report.text import plain, points

#: A results.json never grows beyond this, in bytes. Gradescope names no limit; pages of this size load.
MAX_BYTES = 512 << 10
#: What a test tells, in characters: the first of these with which the file is small enough.
_TOLD = (2000, 400, 100, 0)
_LABEL = "{:10}{}"


def render_gradescope(run: Mapping[str, Any]) -> str:
    """The file for the run's only VM. Raises ``ValueError`` for a grade that is not complete: a score that
    is not known must not be published as one.
    """
    (host,) = run["hosts"]
    return results_text(gradescope_results(run, host))


def results_text(results: Mapping[str, Any]) -> str:
    """The file for these results; what tests tell is cut until it is small enough."""
    for limit in _TOLD:
        tests = [_cut(test, limit) for test in results.get("tests") or []]
        text = json.dumps({**results, "tests": tests}, indent=1, ensure_ascii=False) + "\n"
        if len(text.encode()) <= MAX_BYTES:
            return text
    raise ValueError(f"the results do not fit into {MAX_BYTES} bytes")


def _cut(test: Mapping[str, Any], limit: int) -> dict[str, Any]:
    told = test.get("output") or ""
    return {**test, "output": f"{told[:limit]}…"} if len(told) > limit else dict(test)


def gradescope_results(run: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """The same as a dictionary. Texts are plain ones for Gradescope: ``output_format`` is ``text``.

    Raises ``ValueError`` for a grade that is not complete.
    """
    if host["score"] is None:
        raise ValueError(f"{host['host']}: {host['error'] or 'the grade is not complete'}")
    score = f"{points(host['score'])} of {points(host['max_score'])} points"
    told = [f"{score}, as {run['lab']} was at {host['started']}."]
    if host["left_out"]:
        ids = ", ".join(one["id"] for one in host["left_out"][:8])
        more = f" and {len(host['left_out']) - 8} more" if len(host["left_out"]) > 8 else ""
        told.append(f"Left out of this run, at no cost: {ids}{more}.")
    return {
        "execution_time": host["seconds"],
        "output": _text("\n".join(told), 0),
        "output_format": "text",
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "extra_data": {"lab": _text(run["lab"]), "run": _text(run["run"]), "host": _text(host["host"])},
        "tests": [_test(run, check) for check in host["checks"]],
    }


def _test(run: Mapping[str, Any], check: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "score": check["score"],
        "max_score": check["max_score"],
        # what is optional has no points to fail: without a status it is shown as neither
        **({"status": "passed" if check["verdict"] == "pass" else "failed"} if check["max_score"] else {}),
        "name": _text(check["title"], 300),
        "name_format": "text",
        "number": _text(check["question"], 20),
        "output": _output(check),
        "output_format": "text",
        "tags": [
            _text(run["sections"].get(check["section"], check["section"]), 100),
            *([] if check["max_score"] else ["optional"]),
            *(["staff read it"] if check.get("for_staff") else []),
        ],
        "visibility": "visible",
        "extra_data": {"check": _text(check["id"], 100), "verdict": check["verdict"]},
    }


def _output(check: Mapping[str, Any]) -> str:
    if check["verdict"] == "pass":
        return _LABEL.format("answer", _text(check["answer"], 600)) if check.get("for_staff") else ""
    labels = ("answer", "expected", "seen", "hint")
    rows = [(label, _text(check.get(label) or "", 600)) for label in labels]
    if check["verdict"] == "skip":
        rows = [("skipped", _text(check["seen"], 600)), rows[-1]]
    return "\n".join(_LABEL.format(label, text) for label, text in rows if text)


def _text(value: object, limit: int = 300) -> str:
    return plain(str(value), limit=limit)
