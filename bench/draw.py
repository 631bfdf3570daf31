"""docs/setup-times.svg from setup.json, by the peers' venv, which has matplotlib."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt

HERE = Path(__file__).parent
SHOWN = ("no-op", "slow-link", "first-run", "fan-out")
OURS, FLOOR, PEER = "#1f6f54", "#b9c4c0", "#6d86a6"
PANEL_PER_ROW, PANEL_HEAD = 0.3, 0.55


def main() -> None:
    scenarios = json.loads((HERE / "setup.json").read_text())["scenarios"]
    panels = [one for name in SHOWN for one in scenarios.get(name, [])]
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
    figure.savefig(HERE.parent / "docs" / "setup-times.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
