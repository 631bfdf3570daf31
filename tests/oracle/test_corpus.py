"""The same playbook by ansible-core and by labctl on two fresh machines: the same machine, the same word.

Each playbook of ``corpus/`` runs by ansible-playbook on student1 and by labctl on student2, in check mode and
then for real. Each task's status in both, what was registered (as far as Ansible documents it), file trees,
packages and units are compared, and each tool runs over the other's result, where nothing may be left
to change. What takes Ansible as long as all else, to run in check mode and over labctl's result, it does
with some in each run and with all in the soak; of the others its word is kept (see foreseen.py).
"""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import foreseen
import pytest
import yaml
from pair import HERE, Pair, changing, differences, fails, listing, options_of, registers

from labctl.playbook.modules import BY_NAME

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]

CORPUS = sorted((HERE / "corpus").glob("*.yml"))
BY_ANSIBLE, BY_LABCTL = "student1", "student2"
#: Of these Ansible is asked in check mode, and looks over what labctl made, each time.
LOOKED_OVER = ("accounts", "lines", "posix")

#: Returned values that two runs never have in common, or that are the two tools' own words.
PASSING = {
    "start",
    "end",
    "delta",
    "elapsed",
    "attempts",
    "atime",
    "mtime",
    "ctime",
    "inode",
    "dev",
    "version",
    "src",
    "backup_file",
    "cache_update_time",
    "date",
    "diff",
    "msg",
    "stdout_lines",
    "stderr_lines",
    "password",
    "ssh_public_key",
    "status",  # everything that systemctl show says; labctl's result does without
}
#: ansible-core gives these a terminal, where lines end otherwise and stderr is stdout; labctl gives none.
WITH_TERMINAL = {"raw", "script"}
#: What every result has, documented nowhere.
COMMON = frozenset({"changed", "failed", "skipped", "rc", "stdout", "stderr", "cmd"})


def documented(module: str) -> set[str]:
    """The names of the values that Ansible documents as returned."""
    collection, _, name = BY_NAME[module].full_name.rpartition(".")
    package = (
        "ansible.modules"
        if collection == "ansible.builtin"
        else f"ansible_collections.{collection}.plugins.modules"
    )
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.submodule_search_locations is not None
    for folder in spec.submodule_search_locations:
        tree = ast.parse(Path(folder, f"{name}.py").read_text())
        for node in tree.body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "RETURN":
                return set(yaml.safe_load(ast.literal_eval(node.value)) or {})
    return set()


def untold(name: str, names: set[str] | None, left: Any, right: Any) -> Iterator[str]:
    """A line for each value of ``left`` (ansible's) that ``right`` has not; of ``names`` only, if given."""
    if not isinstance(left, dict) or not isinstance(right, dict):
        if left != right:
            yield f"{name}: ansible {left!r}, labctl {right!r}"
        return
    for key, value in left.items():
        if key in PASSING or key.startswith("_"):
            continue
        if key == "results":
            for index, (one, other) in enumerate(zip(value, right.get(key, []), strict=True)):
                yield from untold(f"{name}[{index}]", names, one, other)
        elif names is None or key in names:
            yield from untold(f"{name}.{key}", None, value, right.get(key, "(nothing)"))


def test_the_comparison_sees_a_difference(pair: Pair) -> None:
    # a unit of the boot may have come out differently on the two
    before = differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL))
    assert not [line for line in before if line.startswith("/")]
    pair.box.run(BY_LABCTL, "sudo install -m 600 /dev/null /etc/odd")
    after = differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL))
    (line,) = [line for line in after if line not in before]
    assert line.startswith("/etc/odd: ansible None, labctl {")
    pair.box.run(BY_LABCTL, "sudo rm /etc/odd")


def test_the_comparison_of_results_sees_a_difference() -> None:
    left = {"changed": True, "mode": "0644", "start": "1", "stat": {"size": 1, "mtime": 3}, "own": 1}
    assert (
        list(untold("x", {"mode", "stat", "changed"}, left, {**left, "start": "2", "own": 2, "more": 1}))
        == []
    )
    assert list(untold("x", {"mode", "stat"}, left, {**left, "mode": None, "stat": {}})) == [
        "x.mode: ansible '0644', labctl None",
        "x.stat.size: ansible 1, labctl '(nothing)'",
    ]
    assert {"dest", "checksum", "mode"} <= documented("copy")


@pytest.mark.parametrize("playbook", CORPUS, ids=lambda path: path.stem)
def test_both_tools_leave_the_same_machine(pair: Pair, playbook: Path) -> None:
    telling = pair.telling(playbook)
    options = options_of(playbook)
    pair.failing = fails(playbook)
    # a unit of the boot may have come out differently on the two: that is neither tool's doing
    before = differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL))
    expected = foreseen.kept(playbook)
    if expected is None or playbook.stem in LOOKED_OVER:
        asked = pair.ansible(playbook, BY_ANSIBLE, "--check", *options)
        assert expected in (None, asked), listing(expected or [], asked)
        expected = asked
    said = pair.labctl(playbook, BY_LABCTL, "--check", *options)
    # Where ansible fails because an earlier task did nothing, labctl may say more.
    certain = [one for one in expected if one[1] != "failed"]
    named = {name for name, _status in certain} if certain != expected else None
    told = [one for one in said if named is None or one[0] in named]
    assert told == certain, listing(expected, said)
    by_ansible = pair.ansible(telling, BY_ANSIBLE, *options)
    by_labctl = pair.labctl(telling, BY_LABCTL, *options)
    assert by_labctl == by_ansible, listing(by_ansible, by_labctl)
    if not pair.failing:
        compare_registered(pair, playbook)
    after = differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL))
    assert [line for line in after if line not in before] == []
    assert changing(pair.labctl(playbook, BY_ANSIBLE, *options)) == []
    if playbook.stem in LOOKED_OVER:
        assert changing(pair.ansible(playbook, BY_LABCTL, *options)) == []


@pytest.mark.soak
@pytest.mark.parametrize("playbook", CORPUS, ids=lambda path: path.stem)
def test_ansible_has_nothing_to_do_where_labctl_was(pair: Pair, playbook: Path) -> None:
    options = options_of(playbook)
    pair.failing = fails(playbook)
    pair.labctl(playbook, BY_LABCTL, *options)
    assert changing(pair.ansible(playbook, BY_LABCTL, *options)) == []


@pytest.mark.soak
@pytest.mark.parametrize("playbook", CORPUS, ids=lambda path: path.stem)
def test_ansible_foresees_what_is_kept_of_it(pair: Pair, playbook: Path) -> None:
    pair.failing = fails(playbook)
    asked = pair.ansible(playbook, BY_ANSIBLE, "--check", *options_of(playbook))
    if os.environ.get("LABCTL_TEST_RECORD"):
        foreseen.keep(playbook, asked)
    kept = foreseen.kept(playbook)
    assert kept == asked, listing(kept or [], asked)


def compare_registered(pair: Pair, playbook: Path) -> None:
    left, right = pair.told(BY_ANSIBLE), pair.told(BY_LABCTL)
    lines = [
        line
        for name, module in registers(playbook).items()
        for line in untold(
            name,
            (documented(module) | COMMON) - ({"stdout", "stderr"} if module in WITH_TERMINAL else set()),
            left[name],
            right[name],
        )
    ]
    assert not lines, "\n".join(lines)
