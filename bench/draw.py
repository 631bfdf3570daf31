"""Draw a benchmark's report, by the peers' venv, which has matplotlib.

python bench/draw.py REPORT PICTURE SCENARIO...
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

OURS, FLOOR, PEER = "#1f6f54", "#b9c4c0", "#6d86a6"
PANEL_PER_ROW, PANEL_HEAD = 0.3, 0.55


def main() -> None:
    report, picture, *shown = sys.argv[1:]
    scenarios = json.loads(Path(report).read_text())["scenarios"]
    panels = [one for name in shown for one in scenarios.get(name, [])]
    heights = [PANEL_HEAD + PANEL_PER_ROW * len(one["rows"]) for one in panels]
    mpl.rcParams.update({"svg.hashsalt": "labctl", "font.size": 9, "svg.fonttype": "none"})
    figure, every = plt.subplots(
        len(panels), figsize=(7.5, sum(heights)), height_ratios=heights, layout="constrained", squeeze=False
    )
    for axes, one in zip(every[:, 0], panels, strict=True):
        rows = one["rows"][::-1]
        colours = [OURS if row["name"] == "labctl" else PEER for row in rows]
        colours[-1] = FLOOR
        bars = axes.barh([row["name"] for row in rows], [row["wall"] for row in rows], color=colours)
        axes.bar_label(bars, [f"{row['wall']:.2f} s" for row in rows], padding=3)
        axes.set_title(one["title"], loc="left", fontweight="bold", fontsize=9)
        axes.margins(x=0.12)
        axes.spines[["top", "right", "bottom"]].set_visible(False)
        axes.set_xticks([])
    figure.savefig(picture, metadata={"Date": None})


if __name__ == "__main__":
    main()
