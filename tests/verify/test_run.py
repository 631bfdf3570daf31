"""What of a matrix is told when a VM does not do as it should: no VM is needed for that."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from graders.lab7 import LAB
from labctl.errors import SandboxError
from labctl.inventory import Host
from labctl.sandbox import Sandbox
from labctl.verify import Case, Matrix, run, verify
from labctl.verify.matrix import Shared

FAULTS = {
    "one": ValueError("not a word of mine"),
    "two": SandboxError("it did not let us in"),
    "three": ValueError("nor this"),
}


@dataclass
class Broken:
    """In place of the VMs: none of them can be made."""

    box: Sandbox
    driver: str
    shared: Shared
    skip_tags: tuple[str, ...] = ()
    staff: None = None
    hosts: tuple[Host, ...] = field(default=(Host("student1"),))

    def prepare(self, *_: object) -> None:
        pass

    def make(self, _host: Host, case: Case) -> None:
        raise FAULTS[case.name]

    def down(self) -> None:
        pass


def test_whatever_happens_to_one_case_the_others_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "Machines", Broken)
    matrix = Matrix(shared=Shared(), cases=tuple(Case(name=name, what="x") for name in FAULTS))
    told = []
    report = verify(LAB, matrix, lambda *_: None, tell=lambda _, done: told.append(done))
    assert {one.case.name: one.problems for one in report.comparisons} == {
        "one": ("it could not be made or graded: ValueError: not a word of mine",),
        "two": ("it could not be made or graded: it did not let us in",),
        "three": ("it could not be made or graded: ValueError: nor this",),
    }
    assert len([done for done in told if done]) == 3
    assert not report.good
