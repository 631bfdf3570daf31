"""What people see of a run: narrow, plain when it must be, and nothing of a VM's raw bytes."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.report import setup_console as console

FAILED: dict[str, Any] = {
    "name": "Zone",
    "module": "template",
    "status": "failed",
    "seconds": 1.23,
    "place": "lab7.yml:9:7",
    "msg": "the new file was refused",
    "diff": "",
    "args": {"src": "a.j2", "dest": "/etc/x"},
    "stdout": "line\n" * 60,
    "stderr": "zone has no NS",
}
DOCUMENT: dict[str, Any] = {
    "check": True,
    "interrupted": False,
    "playbook": "lab7",
    "hosts": [
        {
            "host": "student1",
            "status": "ok",
            "ok": 3,
            "changed": 1,
            "failed": 0,
            "skipped": 2,
            "seconds": 2.5,
            "round_trips": 2,
            "error": None,
        },
        {
            "host": "s2",
            "status": "unreachable",
            "ok": 0,
            "changed": 0,
            "failed": 0,
            "skipped": 0,
            "seconds": 9,
            "round_trips": 0,
            "error": "no route",
        },
    ],
}


def visible(text: str) -> str:
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_a_failure_shows_module_arguments_output_and_place() -> None:
    text = console.task_lines("student1", FAILED)
    for part in (
        "failed     student1: Zone",
        "refused",
        "src: a.j2",
        "dest: /etc/x",
        "zone has no NS",
        "lab7.yml:9:7",
        "35 lines before",
    ):
        assert part in text
    assert text.count("line") < 40


@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_task_is_one_line_of_the_terminals_width(width: int) -> None:
    task = {
        "name": "A very long name of a task " * 10,
        "module": "apt",
        "status": "changed",
        "seconds": 1234.5,
    }
    line = console.task_lines("student1", task, width=width)
    assert len(line) == width
    assert visible(console.task_lines("student1", task, width=width, colour=True)) == line


def test_the_recap_counts_per_vm() -> None:
    text = console.recap(DOCUMENT)
    assert "student1  ok           ok 3  changed 1  failed 0  skipped 2  (2.5 s, 2 round trips)" in text
    assert "no route" in text
    assert text.startswith("check mode")
    assert max(map(len, text.split("\n"))) <= 100
    assert visible(console.recap(DOCUMENT, colour=True)) == text
    assert "interrupted" in console.recap(DOCUMENT | {"interrupted": True})


def test_a_diff_is_shown_when_asked_for() -> None:
    task = {
        "name": "x",
        "module": "copy",
        "status": "changed",
        "seconds": 0,
        "diff": "--- a\n+++ b\n+new\x1b[2J\n",
    }
    assert "+new" not in console.task_lines("h", task)
    shown = console.task_lines("h", task, diff=True)
    assert "    +new\\x1b[2J" in shown


@given(st.text(), st.text())
def test_nothing_of_a_vm_reaches_the_terminal_raw(said: str, name: str) -> None:
    task = FAILED | {
        "msg": said,
        "stdout": said,
        "stderr": said,
        "args": {"cmd": said},
        "name": name,
        "diff": said,
    }
    text = console.task_lines("h", task, diff=True) + console.lost_lines("h", "unreachable", said, said)
    for letter in text:
        assert letter == "\n" or (ord(letter) >= 32 and ord(letter) != 127 and not 0x80 <= ord(letter) < 0xA0)
        assert letter not in "\u202e\u2066\u2069\u200f"


def test_colour_only_on_a_terminal_and_not_against_the_users_will() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert console.wants_colour(Terminal(), {"TERM": "xterm"})
    assert not console.wants_colour(Terminal(), {"NO_COLOR": "1"})
    assert not console.wants_colour(Terminal(), {"TERM": "dumb"})
    assert not console.wants_colour(io.StringIO(), {})
