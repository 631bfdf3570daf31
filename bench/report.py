"""What a benchmark found: targets, tables, a JSON document, a picture."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import peers
from machine import Machine
from measure import Sample, median, ratio

Say = Callable[[str], None]
Found = dict[str, list[Sample]]


@dataclass(frozen=True)
class Target:
    """``figure`` is to be at most (or at least) ``bound``."""

    text: str
    figure: float
    bound: float
    at_most: bool

    @property
    def met(self) -> bool:
        return self.figure <= self.bound if self.at_most else self.figure >= self.bound


@dataclass(frozen=True)
class Outcome:
    """A scenario's runs by contender; ``base`` is the one that labctl is held against."""

    title: str
    base: str
    found: Found
    targets: list[Target] = field(default_factory=list)
    hosts: int = 1


def below(found: Found, base: str, bound: float) -> Target:
    return Target(f"labctl's time / {base}", ratio(found[peers.LABCTL], found[base]), bound, at_most=True)


def above(found: Found, peer: str, bound: float) -> Target:
    return Target(f"{peer} / labctl", ratio(found[peer], found[peers.LABCTL]), bound, at_most=False)


def fan_out_targets(found: Found, base: str, hosts: int) -> list[Target]:
    """What a run over many ``hosts`` is held to: 0.8 of the base's hosts a second, CPU and memory a host."""
    cpu = median(found[peers.LABCTL], "cpu") * 1000 / hosts
    memory = max(one.memory for one in found[peers.LABCTL]) / hosts
    return [
        below(found, base, 1 / 0.8),
        Target("labctl's CPU, ms a host", cpu, 15.0, at_most=True),
        Target("labctl's memory, MB a host", memory, 1.5, at_most=True),
    ]


Scenario = Callable[[Machine, int, Say], list[Outcome]]


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


def measure(
    told: str,
    what: str,
    scenarios: Mapping[str, Scenario],
    ready: Callable[[Machine], None],
    name: str,
    drawn: Sequence[str],
    rounds: int = 7,
) -> None:
    """The command line of a benchmark: run its scenarios on one machine, show and keep what was found.

    It is kept in NAME.json, and the scenarios ``drawn`` in docs/NAME-times.svg.
    """
    parser = argparse.ArgumentParser(description=told.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=rounds)
    parser.add_argument("--only", action="append", choices=scenarios, help="One scenario; may be repeated.")
    asked = parser.parse_args()
    peers.install()
    found: dict[str, list[dict[str, Any]]] = {}
    with Machine("bench") as machine:
        ready(machine)
        for one in [one for one in scenarios if one in (asked.only or scenarios)]:
            print(one, file=sys.stderr)
            outcomes = scenarios[one](machine, asked.rounds, lambda line: print(line, file=sys.stderr))
            found[one] = [document(outcome) for outcome in outcomes]
    for listed in found.values():
        for scenario in listed:
            show(scenario)
    path = peers.HERE / f"{name}.json"
    before = json.loads(path.read_text())["scenarios"] if asked.only and path.exists() else {}
    whole = {**before, **found}
    report = {
        "what": what,
        "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "cores": os.cpu_count(),
        "rounds": asked.rounds,
        "versions": peers.versions(),
        "scenarios": {one: whole[one] for one in scenarios if one in whole},
    }
    path.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    picture = Path(peers.HERE.parent, "docs", f"{name}-times.svg")
    subprocess.run([peers.BIN / "python", peers.HERE / "draw.py", path, picture, *drawn], check=True)
