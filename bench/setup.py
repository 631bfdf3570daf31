"""How long labctl setup takes: beside its peers and the floor, on one container.

    make bench

Each contender's whole process in turn, round after round; medians, and ratios round by round. The floor is
OpenSSH (for many hosts: bare paramiko in threads) running one Python script on the machine that looks at the
same things. Needs root; the peers live in a venv of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from typing import Any

import peers
from machine import Machine
from measure import Sample, median, ratio
from scenarios import SCENARIOS, Outcome, ready

REPORT = peers.HERE / "setup.json"


def document(one: Outcome) -> dict[str, Any]:
    """A scenario as JSON: medians, ratios to the base, every run."""
    base, labctl = one.found[one.base], one.found[peers.LABCTL]
    return {
        "title": one.title,
        "hosts": one.hosts,
        "rows": [_row(name, runs, base, labctl) for name, runs in one.found.items()],
        "targets": [
            {
                "text": target.text,
                "figure": round(target.figure, 2),
                "bound": round(target.bound, 2),
                "at_most": target.at_most,
                "met": target.met,
            }
            for target in one.targets
        ],
    }


def _row(name: str, runs: list[Sample], base: list[Sample], labctl: list[Sample]) -> dict[str, Any]:
    return {
        "name": name,
        "wall": round(median(runs, "wall"), 3),
        "cpu": round(median(runs, "cpu"), 3),
        "memory": round(max(run.memory for run in runs), 1),
        "of_base": round(ratio(runs, base), 2),
        "of_labctl": round(ratio(runs, labctl), 2),
        "runs": [round(run.wall, 3) for run in runs],
    }


def show(scenario: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    many = scenario["hosts"] > 1
    table = Table(title=scenario["title"], title_justify="left")
    columns = ["", "wall s", "client CPU s", "x base", "x labctl"]
    columns += ["hosts/s", "CPU ms a host", "memory MB"] if many else []
    for column in columns:
        table.add_column(column, justify="right" if column else "left")
    for row in scenario["rows"]:
        cells = [row["name"], *(f"{row[key]:.2f}" for key in ("wall", "cpu", "of_base", "of_labctl"))]
        if many:
            hosts = scenario["hosts"]
            cells += [
                f"{hosts / row['wall']:.1f}",
                f"{row['cpu'] * 1000 / hosts:.1f}",
                f"{row['memory']:.0f}",
            ]
        table.add_row(*cells)
    console = Console(width=110, highlight=False)
    console.print(table)
    for target in scenario["targets"]:
        bound = f"{'at most' if target['at_most'] else 'at least'} {target['bound']:g}"
        console.print(
            f"  {'met   ' if target['met'] else 'MISSED'}  {target['text']}: {target['figure']} ({bound})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="One scenario; may be repeated.")
    asked = parser.parse_args()
    peers.install()
    chosen = [name for name in SCENARIOS if name in (asked.only or SCENARIOS)]
    scenarios: dict[str, list[dict[str, Any]]] = {}
    with Machine("bench") as machine:
        ready(machine)
        for name in chosen:
            print(name, file=sys.stderr)
            outcomes = SCENARIOS[name](machine, asked.rounds, lambda line: print(line, file=sys.stderr))
            scenarios[name] = [document(one) for one in outcomes]
    for listed in scenarios.values():
        for scenario in listed:
            show(scenario)
    before = json.loads(REPORT.read_text())["scenarios"] if asked.only and REPORT.exists() else {}
    report = {
        "what": "bench/playbook.yml on one systemd-nspawn container",
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "rounds": asked.rounds,
        "versions": peers.versions(),
        "scenarios": {
            name: {**before, **scenarios}[name] for name in SCENARIOS if name in {**before, **scenarios}
        },
    }
    REPORT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    subprocess.run([peers.BIN / "python", peers.HERE / "draw.py"], check=True)


if __name__ == "__main__":
    main()
