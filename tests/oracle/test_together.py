"""Playbooks in which hosts take part in each other's work, by ansible-core and by labctl.

Both run over the same machines, each into a directory of its own; then the directories are compared.
"""

from __future__ import annotations

import pytest
from pair import HERE, Pair

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]

STAFF = "staff2"
STUDENTS = ["student1", "student2"]


def written(pair: Pair, base: str) -> dict[str, str]:
    """Every file below ``base`` with its text, by machine."""
    command = f"cd {base} && sudo grep -r '' . | sort"
    return {name: pair.box.run(name, command).stdout for name in [*STUDENTS, STAFF]}


def test_delegation_and_what_is_done_once(pair: Pair) -> None:
    playbook = HERE / "together" / "delegation.yml"
    by_ansible = pair.ansible_on(playbook, STUDENTS, "-e", f"base=/srv/ansible staff={STAFF}")
    by_labctl = pair.labctl_on(playbook, STUDENTS, "-e", f"base=/srv/labctl staff={STAFF}")
    assert by_labctl == by_ansible
    left = written(pair, "/srv/ansible")
    assert left["student2"].count("\n") == 5
    assert written(pair, "/srv/labctl") == left
