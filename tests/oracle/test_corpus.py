"""The same playbook by ansible-core and by labctl on two fresh machines: the same machine, the same word.

Each playbook of ``corpus/`` runs by ansible-playbook on student1 and by labctl on student2. Then the two file
trees, packages, units and each task's status are compared, and each tool runs over the other's result, where
nothing may be left to change.
"""

from __future__ import annotations

import os
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from pair import HERE, Outcome, Pair

pytestmark = [
    pytest.mark.vm,
    pytest.mark.skipif(os.geteuid() != 0, reason="containers need root"),
]

CORPUS = sorted((HERE / "corpus").glob("*.yml"))
BY_ANSIBLE, BY_LABCTL = "student1", "student2"


def differences(left: dict[str, Any], right: dict[str, Any]) -> list[str]:
    """A line for each thing that is not the same; the left is ansible's."""
    files = [
        f"{path}: ansible {left['files'].get(path)}, labctl {right['files'].get(path)}"
        for path in sorted({*left["files"], *right["files"]})
        if left["files"].get(path) != right["files"].get(path)
    ]
    others = [
        f"{kind}: only {who}: {line}"
        for kind in ("packages", "units", "active")
        for who, mine, other in (("ansible", left, right), ("labctl", right, left))
        for line in sorted({*mine[kind]} - {*other[kind]})
    ]
    return files + others


def listing(by_ansible: list[Outcome], by_labctl: list[Outcome]) -> str:
    """Both runs side by side, for who has to find out why they are not the same."""
    rows = zip_longest(by_ansible, by_labctl, fillvalue=("", ""))
    return "\n" + "\n".join(f"{' ' if left == right else '!'} {left} | {right}" for left, right in rows)


def changing(outcomes: list[Outcome]) -> list[Outcome]:
    return [one for one in outcomes if one[1] == "changed"]


def test_the_comparison_sees_a_difference(pair: Pair) -> None:
    assert differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL)) == []
    pair.box.run(BY_LABCTL, "sudo install -m 600 /dev/null /etc/odd")
    (line,) = differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL))
    assert line.startswith("/etc/odd: ansible None, labctl {")
    pair.box.run(BY_LABCTL, "sudo rm /etc/odd")


@pytest.mark.parametrize("playbook", CORPUS, ids=lambda path: path.stem)
def test_both_tools_leave_the_same_machine(pair: Pair, playbook: Path) -> None:
    by_ansible = pair.ansible(playbook, BY_ANSIBLE)
    by_labctl = pair.labctl(playbook, BY_LABCTL)
    assert by_labctl == by_ansible, listing(by_ansible, by_labctl)
    assert differences(pair.manifest(BY_ANSIBLE), pair.manifest(BY_LABCTL)) == []
    assert changing(pair.labctl(playbook, BY_ANSIBLE)) == []
    assert changing(pair.ansible(playbook, BY_LABCTL)) == []
