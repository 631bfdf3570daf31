"""``labctl lab verify`` on real machines: lab 7's whole matrix, and a lab whose checks were weakened."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from vms import labctl

ROOT = Path(__file__).parent.parent.parent

pytestmark = [
    pytest.mark.vm,
    pytest.mark.root,
]


def verify(*args: str, expected: int, timeout: float) -> dict[str, Any]:
    done = labctl("lab", "verify", "lab7", "--json", *args, timeout=timeout)
    assert "Traceback" not in done.stderr, done.stderr
    # the end alone: of a failure's words the first hundred lines are what is kept
    assert done.returncode == expected, _wrong(done.stdout) or done.stderr[-2000:]
    return dict(json.loads(done.stdout))


def _wrong(document: str) -> str:
    """What is not as declared, a line each."""
    try:
        told = json.loads(document)
    except ValueError:
        return ""
    lines = [
        f"{case['name']}: {problem}"
        for case in (*told["others"], *told["mutants"])
        for problem in case["problems"]
    ]
    return "\n".join([*lines, f"survived: {told['survived']}", f"not killed: {told['not_killed_checks']}"])


@pytest.mark.timeout(1600)
def test_every_mutant_of_lab_7_loses_exactly_what_it_should() -> None:
    told = verify(expected=0, timeout=1500)
    assert told["good"]
    assert told["whole"]
    assert len(told["mutants"]) >= 60
    for mutant in told["mutants"]:
        assert mutant["killed"], mutant
        assert mutant["lost"] == mutant["expected"], mutant
    assert told["not_killed_checks"] == []
    assert told["seconds"] < 1500


ALWAYS = """

from dataclasses import replace

from labctl.grading import passed

LAB = replace(
    LAB,
    checks=tuple(
        replace(one, judge=lambda _vm, _see: passed()) if one.id == "dns.test-address" else one
        for one in LAB.checks
        if one.id.startswith("dns.")
    ),
)
"""
SHARED = """
containers:
  skip_tags: [nfs]
"""
FEW = """
section: dns
mutants:
  - name: test-left-out
    what: the record test was deleted
    script: sed -i /^test/d /etc/bind/db.example.com; rndc reload; sleep 1
    fail: {dns.test-address: compare yours with it}
  - name: changes-nothing
    what: nothing at all
    script: "true"
    fail: {dns.enabled: at boot}
"""


def test_a_weakened_check_and_a_mutant_that_changes_nothing_are_named(tmp_path: Path) -> None:
    course = tmp_path / "course"
    for name in ("graders", "playbooks", "templates", "labctl.toml"):
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, course / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, course / name)
    lab = course / "graders" / "lab7"
    shutil.rmtree(lab / "mutants")
    (lab / "mutants").mkdir()
    (lab / "mutants" / "matrix.yml").write_text(SHARED)
    (lab / "mutants" / "dns.yml").write_text(FEW)
    with (lab / "__init__.py").open("a") as file:
        file.write(ALWAYS)

    told = verify("--course", str(course), expected=1, timeout=500)

    assert told["survived"] == ["test-left-out", "changes-nothing"]
    assert "dns.test-address" in told["not_killed_checks"]
    assert [case["problems"] for case in told["others"]] == [[], []]
