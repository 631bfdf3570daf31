"""Which level's value a variable has: many sets of levels at once, by ansible-playbook and by labctl.

A variable for each set of levels that may define it, so one run of each tool compares them all. One in
three values is a template that names the level below. Every set of a play's own levels is tried; of all
levels, from the defaults of roles to ``-e``, pairs and larger sets in layouts made at random, seen from tasks
in every place that has variables of its own.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from layouts import HOST, Layout

pytestmark = pytest.mark.slow

LEVELS = ("inventory", "play", "file1", "file2", "outer", "block", "task", "fact", "registered", "extra")
#: A registered name holds a result, not text: it goes with at most two other levels.
SETS = [
    chosen
    for size in range(1, len(LEVELS) + 1)
    for chosen in itertools.combinations(LEVELS, size)
    if "registered" not in chosen or size <= 3
]

PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
SETUP = (sys.executable, "-m", "labctl", "setup", HOST)


def name(levels: tuple[str, ...]) -> str:
    return "v_" + "_".join(levels)


def values(level: str) -> dict[str, Any]:
    made: dict[str, Any] = {"base": f"base of {level}"}
    for number, levels in enumerate(SETS):
        if level in levels:
            made[name(levels)] = ("from {{ base }}" if number % 3 == 0 else "") + f" {level}"
    return made


def write(top: Path) -> None:
    inventory = {"all": {"hosts": {"here": {"ansible_connection": "local", **values("inventory")}}}}
    inventory["all"]["hosts"]["here"]["ansible_python_interpreter"] = sys.executable
    (top / "inventory.yml").write_text(yaml.safe_dump(inventory))
    for level in ("file1", "file2", "extra"):
        (top / f"{level}.yml").write_text(yaml.safe_dump(values(level)))
    registered = [name(levels) for levels in SETS if "registered" in levels]
    show = {
        "name": "show",
        "copy": {"content": "{{ shown }}", "dest": str(top / "out.json")},
        "vars": {
            **values("task"),
            "shown": "{{ dict(names | zip(names | map('extract', vars_of))) | to_json }}",
            "vars_of": {name(levels): "{{ " + name(levels) + " }}" for levels in SETS},
            "names": [name(levels) for levels in SETS],
        },
    }
    tasks = [
        {"set_fact": values("fact")},
        *({"debug": {"msg": "said"}, "register": one} for one in registered),
        {"vars": values("outer"), "block": [{"vars": values("block"), "block": [show]}]},
    ]
    play = {
        "hosts": "all",
        "gather_facts": False,
        "vars": values("play"),
        "vars_files": ["file1.yml", "file2.yml"],
    }
    (top / "play.yml").write_text(yaml.safe_dump([{**play, "tasks": tasks}], sort_keys=False))


def carry_out(top: Path, *command: str) -> None:
    environment = {**os.environ, "HOME": str(top), "ANSIBLE_LOCALHOST_WARNING": "false"}
    done = subprocess.run(
        command, cwd=top, env=environment, capture_output=True, text=True, timeout=900, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def run(top: Path, *command: str) -> Any:
    (top / "out.json").unlink(missing_ok=True)
    carry_out(top, *command)
    return json.loads((top / "out.json").read_text())


def test_every_set_of_levels_has_the_same_winner(tmp_path: Path) -> None:
    write(tmp_path)
    theirs = run(tmp_path, PLAYBOOK, "-i", "inventory.yml", "-e", "@extra.yml", "play.yml")
    ours = run(tmp_path, *SETUP, "-i", "inventory.yml", "-e", "@extra.yml", "--playbook", "./play.yml")
    assert len(ours) == len(SETS)
    different = {key: (ours[key], theirs[key]) for key in ours if _told(ours[key]) != _told(theirs[key])}
    assert not different


def _told(value: Any) -> Any:
    """Of a registered result, what both tools say."""
    return {"msg": value["msg"]} if isinstance(value, dict) else value


def _seen(layout: Layout, *command: str) -> dict[str, Any]:
    """What each point of view saw, by its name and the variable's."""
    for file in (layout.top / "out").iterdir():
        file.unlink()
    carry_out(layout.top, *command)
    told = {point: json.loads((layout.top / "out" / f"{point}.json").read_text()) for point in layout.points}
    return {f"{point}: {name}": seen[name] for point, seen in told.items() for name in layout.names}


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 30))])
def test_every_level_is_as_strong_as_in_ansible(seed: int, tmp_path: Path) -> None:
    layout = Layout(Random(seed).choice, tmp_path / "top")
    layout.write()
    options = ("-i", "inventory", "-e", "@extra.yml")
    theirs = _seen(layout, PLAYBOOK, *options, "site.yml")
    ours = _seen(layout, *SETUP, *options, "--playbook", "./site.yml")
    assert len(ours) > 3000
    different = [
        f"{key} of {sorted(layout.levels_of[key.split(': ')[1]])}: {ours[key]!r}, ansible {theirs[key]!r}"
        for key in ours
        if ours[key] != theirs[key]
    ]
    assert not different, "\n".join(different)
