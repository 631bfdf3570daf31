"""What an inventory says of a student is what a gradebook gets, however much it looks like a number."""

from __future__ import annotations

from pathlib import Path

import pytest

from labctl.cli.export import student_of
from labctl.inventory import load_inventory

LIKE_SOMETHING_ELSE = [
    "01234567",
    "0x1F",
    "No",
    "on",
    "Null",
    "12:30:45",
    "1.50",
    "1e3",
    "1_000",
    "2026-11-21",
    "=",
]


def sid(tmp_path: Path, files: dict[str, str], main: str = "hosts.yml") -> object:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return student_of(load_inventory(tmp_path / main).hosts["vm"]).get("sid")


PLACES = {
    "a host": {"hosts.yml": "all:\n  hosts:\n    vm:\n      student_sid: {0}\n"},
    "flow style": {"hosts.yml": "all: {{hosts: {{vm: {{student_sid: {0} }} }} }}\n"},
    "a merge": {"hosts.yml": "all:\n  hosts:\n    vm: {{<<: &a {{student_sid: {0} }} }}\n"},
    "a group": {"hosts.yml": "all:\n  hosts:\n    vm:\n  vars:\n    student_sid: {0}\n"},
    "group_vars": {
        "hosts.yml": "all: {{hosts: {{vm: }} }}\n",
        "group_vars/all.yml": "student_sid: {0} # his\n",
    },
    "host_vars": {"hosts.yml": "all: {{hosts: {{vm: }} }}\n", "host_vars/vm": "student_sid: {0}\n"},
}


@pytest.mark.parametrize("text", LIKE_SOMETHING_ELSE)
@pytest.mark.parametrize("place", PLACES)
def test_a_plain_values_own_text_is_what_counts(tmp_path: Path, place: str, text: str) -> None:
    assert sid(tmp_path, {name: one.format(text) for name, one in PLACES[place].items()}) == text


@pytest.mark.parametrize("text", ["1.50", "No", "0x1F", "None", "True", "1_000", "0123"])
def test_in_ini_too(tmp_path: Path, text: str) -> None:
    assert sid(tmp_path, {"hosts": f"vm student_sid={text}\n"}, "hosts") == text
    assert sid(tmp_path, {"hosts": f"vm\n[all:vars]\nstudent_sid = {text}\n"}, "hosts") == text
    assert sid(tmp_path, {"hosts": f"vm\n[all:vars]\nstudent_sid = '{text}'\n"}, "hosts") == text


def test_in_json_too(tmp_path: Path) -> None:
    for text in ("1.50", "true", "1e3"):
        text_of_host = '{"all": {"hosts": {"vm": {"student_sid": %s}}}}' % text  # noqa: UP031 - braces
        assert sid(tmp_path, {"hosts.json": text_of_host}, "hosts.json") == text


@pytest.mark.parametrize("text", ["", "~", "null"])
def test_nothing_is_nothing(tmp_path: Path, text: str) -> None:
    assert sid(tmp_path, {"hosts.yml": f"all:\n  hosts:\n    vm:\n      student_sid: {text}\n"}) is None


def test_other_variables_are_what_they_are_to_ansible(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text(
        "all: {hosts: {vm: {tier: 010, flag: No, student_x: [010, {a: No}]}}}\n"
    )
    variables = load_inventory(tmp_path / "hosts.yml").hosts["vm"].variables
    assert variables["tier"] == 8
    assert variables["student_x"] == [8, {"a": False}]


def test_what_a_template_makes_a_number_is_not_lost(tmp_path: Path) -> None:
    text = "all: {hosts: {vm: {points: 1.5, student_sid: '{{ points * 2 }}'}}}\n"
    assert sid(tmp_path, {"hosts.yml": text}) == "3.0"
