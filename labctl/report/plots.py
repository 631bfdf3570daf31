"""A class's statistics as a picture, by matplotlib: the bytes of a PNG or SVG file. No I/O."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from typing import Any

from labctl.report.stats_console import graded
from labctl.report.text import plain

FORMATS = ("png", "svg")
_GOOD, _BAD, _PLAIN = "#2a7f4f", "#c0392b", "#4c72b0"


def plot_stats(document: Mapping[str, Any], form: str) -> bytes:
    """The distribution of the points, the pass rate of each check, and where services are broken first.

    ``form`` is one of ``FORMATS``. Raises ImportError without matplotlib.
    """
    # The object interface: pyplot keeps state for the whole process and looks for a display.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    stats = document["statistics"]
    checks = [row for row in stats["checks"] if row["pass_rate"] is not None]
    broken = stats["first_broken"][:10]
    heights = [3.0, max(1.5, 0.22 * len(checks) + 0.8), max(1.2, 0.3 * len(broken) + 0.8)]
    # text stays text in an SVG: it can be searched, and is read aloud
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "labctl", "text.parse_math": False}):
        figure = Figure(figsize=(9, sum(heights)), layout="constrained")
        top, middle, bottom = figure.subplots(3, 1, height_ratios=heights)
        figure.suptitle(f"{plain(document['title'], multiline=False)}: {graded(document)}")
        _distribution(top, stats["distribution"])
        _rates(middle, checks)
        _broken(bottom, broken)
        file = io.BytesIO()
        with warnings.catch_warnings():
            # letters that the font lacks are drawn as boxes: the picture shows it, and there is nothing to do
            warnings.simplefilter("ignore", UserWarning)
            figure.savefig(file, format=form, dpi=120, metadata={"Date": None} if form == "svg" else {})
    return file.getvalue()


def _distribution(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    for row in rows:
        axes.bar(row["from"], row["vms"], width=(row["to"] - row["from"]) * 0.95, align="edge", color=_PLAIN)
    if not rows:
        axes.text(0.5, 0.5, "no VM has a grade yet", ha="center", transform=axes.transAxes)
    axes.set(title="Distribution", xlabel="points", ylabel="VMs")
    axes.yaxis.get_major_locator().set_params(integer=True)


def _rates(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    names = [row["id"] for row in rows]
    rates = [100 * row["pass_rate"] for row in rows]
    axes.barh(names, rates, color=[_GOOD if rate >= 50 else _BAD for rate in rates])
    axes.set(title="Pass rate of each check", xlabel="% of the VMs judged", xlim=(0, 100))
    axes.invert_yaxis()
    axes.tick_params(axis="y", labelsize=7)


def _broken(axes: Any, rows: list[Mapping[str, Any]]) -> None:
    names = [f"{row['check']} ({row['layer']})" if row["layer"] else row["check"] for row in rows]
    axes.barh(names, [row["vms"] for row in rows], color=_BAD)
    axes.set(title="Where services are broken first", xlabel="VMs")
    axes.invert_yaxis()
    axes.xaxis.get_major_locator().set_params(integer=True)
