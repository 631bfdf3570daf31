"""A lab's kill matrix on a terminal, made from the JSON document of ``lab verify``. No I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from labctl.report.text import plain


def render_matrix(document: Mapping[str, Any]) -> str:
    """A line for each case, what is not as declared below it, and at the end what that comes to."""
    cases = [*document["others"], *document["mutants"]]
    width = max((len(case["name"]) for case in cases), default=0)
    lines = [f"{document['lab']}: {document['title']}"]
    section = None
    for case in cases:
        if case["section"] != section:
            section = case["section"]
            lines += ["", document["sections"].get(section, "")] if section else [""]
        lines += case_lines(case, width)
    lines += ["", *_summary(document)]
    return "\n".join([*lines, ""])


def case_lines(case: Mapping[str, Any], width: int = 0) -> list[str]:
    """One case: is all as declared, its name, what it lost, and what is otherwise."""
    state = "ok  " if not case["problems"] else "FAIL"
    if case["kind"] in ("variant", "reference"):
        said = "full marks" if not case["lost"] else _short(case["lost"])
    else:
        said = f"loses {case['lost_points']:g}: {_short(case['lost'])}" if case["lost"] else "loses nothing"
    lines = [f"  {state}  {case['name']:{width}}  {said}"]
    return [*lines, *(f"          {plain(line, limit=400, multiline=False)}" for line in case["problems"])]


def _short(ids: Sequence[str]) -> str:
    return ", ".join(ids[:4]) + (f" and {len(ids) - 4} more" if len(ids) > 4 else "")


def _summary(document: Mapping[str, Any]) -> list[str]:
    mutants, others = document["mutants"], document["others"]
    exact = sum(not case["problems"] for case in mutants)
    fine = sum(not case["problems"] for case in others)
    lines = [
        f"{exact} of {len(mutants)} mutants lose exactly what they should; "
        f"{fine} of {len(others)} others are as they should be ({document['seconds']:.0f} s)"
    ]
    if document["survived"]:
        lines.append(f"no check kills: {', '.join(document['survived'])}")
    if document["not_killed_checks"]:
        lines.append(f"no mutant kills: {', '.join(document['not_killed_checks'])}")
    if not document["whole"]:
        lines.append("only a part was tried: which checks no mutant kills is not known")
    return lines
