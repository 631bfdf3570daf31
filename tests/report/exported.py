"""Runs to export: documents as grade makes them, and the same with a VM's worst words in every text."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
from graded import document
from world import LAB, World, mount

from labctl.errors import Unreachable
from labctl.grading import lab_document, lost_document
from labctl.grading.statistics import statistics
from labctl.inventory import Host

SCHEMA = json.loads(Path(__file__).with_name("gradescope_schema.json").read_text())
RUN = "20261121T080000-aaaaaa"
HEAD = {
    "schema": 1,
    "run": RUN,
    **lab_document(LAB),
    "started": "2026-11-21T08:00:00Z",
    "finished": "2026-11-21T08:01:00Z",
}
GOOD = document("student1")
READ_ONLY = document("student2", World(mounts=[mount(options=("relatime", "ro"), super_options=("ro",))]))
LOST = lost_document("student3", Unreachable("no answer", hint="is it on?"))
#: What a hostile VM or student would like to see come out as it is.
WORST = (
    "\x1b[31mred\x07\x00 \u202eevil\u2066 <script>alert(1)</script><img src=x onerror=alert(1)>"
    "]]> --> </script> {{ 7*7 }} [click](javascript:alert(1)) \n=1+1\r\n\tok 1 - # SKIP\n...\n---\ufffe\ud800"
)


def run_of(*hosts: dict[str, Any]) -> dict[str, Any]:
    every = list(hosts) or [GOOD, READ_ONLY, LOST]
    return {**HEAD, "hosts": every, "statistics": statistics(every)}


def speaking(text: str) -> dict[str, Any]:
    """A run of three VMs in which every text that a VM or a class list can choose is ``text``."""
    bad: dict[str, Any] = copy.deepcopy(READ_ONLY)
    for check in bad["checks"]:
        check.update(expected=text, seen=text, hint=text, answer=text)
    for row in bad["evidence"]["observations"].values():
        row["value"] = {text: [text]}
    bad["student"] = {"name": text, "email": text, "sid": text, "user": text}
    bad["attempt"] = 2
    bad["left_out"] = [{"id": "nfs.mounted", "reason": text}]
    lost = {**LOST, "error": text, "error_cause": text, "error_hint": text, "student": bad["student"]}
    return run_of(GOOD, bad, lost)


def validate(results: Any) -> None:
    """Fails unless ``results`` is what Gradescope's documentation calls a results.json."""
    jsonschema.validate(results, SCHEMA, cls=jsonschema.Draft202012Validator)


def student(number: int) -> Host:
    return Host(
        f"student{number}",
        {
            "student_name": f"Kim {number} Doe",
            "student_email": f"kim{number}@example.org",
            "student_sid": 3000 + number,
            "student_user": f"kim{number}",
        },
    )
