"""Which grades of a kept run are signed, before any VM is asked."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from exported import GOOD, LOST, RUN
from vms import labctl
from world import LAB

from labctl.gradescope import make_keys
from labctl.grading import lab_document
from labctl.store import open_store


def delivered(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    document: dict[str, Any],
    *,
    damage: str = "",
    **host: str,
) -> str:
    """What is said of the only VM of a run, which gets no receipt."""
    monkeypatch.setenv("LABCTL_DATABASE", f"sqlite:///{tmp_path}/results.sqlite")
    store = open_store(create=True)
    store.begin(RUN, lab_document(LAB), "2026-11-21T08:00:00Z", [document["host"]])
    store.add(RUN, document)
    store.close()
    with contextlib.closing(sqlite3.connect(tmp_path / "results.sqlite")) as connection:
        connection.execute(damage)
        connection.commit()
    make_keys(tmp_path / "keys")
    inventory = tmp_path / "inventory.json"
    inventory.write_text(json.dumps({"all": {"hosts": {document["host"]: {"ansible_host": "::1", **host}}}}))
    done = labctl("gradescope", "deliver", "last", "-i", str(inventory), "--keys", str(tmp_path / "keys"))
    assert done.returncode == 3, done.stderr
    return done.stderr


def test_points_of_another_rubric_are_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, *others = GOOD["checks"]
    host = {**GOOD, "checks": [{**first, "max_score": 100.0}, *others]}
    told = delivered(tmp_path, monkeypatch, host)
    assert f"no receipt: the points of lab7 are others since: labctl regrade {RUN}" in told


def test_a_vm_that_changed_hands_is_not_signed_for_its_new_student(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = delivered(tmp_path, monkeypatch, GOOD, lab_user="kim")
    assert "no receipt: it was graded for alice, and the inventory has kim there now" in told


def test_a_grade_that_is_not_complete_is_not_signed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no receipt: its grade is not complete" in delivered(tmp_path, monkeypatch, LOST)


def test_damaged_evidence_is_that_vms_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = delivered(tmp_path, monkeypatch, GOOD, damage="update evidence set data = x'00'")
    assert f"student1: no receipt: the run {RUN}, VM student1: what was seen" in told
    assert f"labctl grade student1 --run {RUN}" in told
