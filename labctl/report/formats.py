"""The forms in which a run leaves labctl: ``render(run) -> text`` for each, and the file's usual ending.

``run`` is a run's JSON document as ``show --json`` prints it. A host may also have its ``evidence`` and a
``student`` with ``name``, ``email``, ``sid`` and ``user``, as the class list has them, and the run has its
``statistics``.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Render = Callable[[Mapping[str, Any]], str]


@dataclass(frozen=True)
class Format:
    """``where`` names the function that renders; it is imported when it is used. ``each``: the form holds
    one VM, so that a run of many becomes a directory of files. ``evidence``: the form shows what was seen.
    ``grades``: its points are taken for the students' grades.
    """

    where: str
    ending: str
    each: bool = False
    evidence: bool = False
    grades: bool = False

    @property
    def render(self) -> Render:
        module, _, name = self.where.partition(":")
        found: Render = getattr(importlib.import_module(module), name)
        return found


FORMATS = {
    "gradescope": Format("labctl.report.gradescope:render_gradescope", ".json", each=True, grades=True),
    "csv": Format("labctl.report.gradebook:render_gradebook", ".csv", grades=True),
    "junit": Format("labctl.report.junit:render_junit", ".xml"),
    "tap": Format("labctl.report.tap:render_tap", ".tap"),
    "json": Format("labctl.report.formats:render_json", ".json", evidence=True),
    "html": Format("labctl.report.page:render_page", ".html", evidence=True),
}


def render_json(run: Mapping[str, Any]) -> str:
    """The document itself; ASCII only, so that no control character of a VM stands in it raw."""
    return json.dumps(run, indent=1) + "\n"


def only(run: Mapping[str, Any], host: Mapping[str, Any]) -> dict[str, Any]:
    """The run as if it had been of one host."""
    return {**run, "hosts": [host]}
