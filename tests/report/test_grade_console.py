"""The scorecard: what a run's document says, nothing raw from a VM, within 80 columns."""

from __future__ import annotations

import copy
import re
import unicodedata
from typing import Any

import pytest
from exported import WORST, speaking
from hypothesis import given, settings
from hypothesis import strategies as st

from labctl.report.grade_console import render_class, render_scorecard
from labctl.report.progress_console import ended_line, lost_line, status_line


def a_check(verdict: str, **fields: Any) -> dict[str, Any]:
    usual = {
        "id": "dns.apex-address",
        "section": "dns",
        "question": "2d",
        "title": "example.com has your VM's own address.",
        "verdict": verdict,
        "score": {"pass": 2.0, "fail": 0.0, "skip": 0.0, "error": None}[verdict],
        "max_score": 2.0,
        "expected": "example.com A 10.77.0.11",
        "seen": "A 10.0.2.15",
        "hint": "the A record of the zone's own name must hold the address that others reach your VM at",
        "vantage": "vm",
        "evidence": [],
    }
    return {**usual, **fields}


def a_host(*checks: dict[str, Any], **fields: Any) -> dict[str, Any]:
    usual = {
        "host": "student1",
        "status": "graded",
        "error": None,
        "error_hint": "",
        "score": sum(one["score"] or 0 for one in checks),
        "score_so_far": sum(one["score"] or 0 for one in checks),
        "max_score": sum(one["max_score"] for one in checks),
        "seconds": 12.3,
        "restored": None,
        "left_out": [],
        "checks": list(checks),
    }
    return {**usual, **fields}


def a_run(*hosts: dict[str, Any]) -> dict[str, Any]:
    return {
        "schema": 1,
        "run": "r",
        "lab": "lab7",
        "title": "Networked Services",
        "sections": {"nfs": "NFS", "dns": "DNS"},
        "hosts": list(hosts),
    }


def test_a_failure_says_what_was_expected_seen_and_where_to_look() -> None:
    text = render_scorecard(a_run(a_host(a_check("fail"), a_check("pass", id="dns.zone"))))
    assert "expected example.com A 10.77.0.11" in text
    assert "seen     A 10.0.2.15" in text
    assert "hint     the A record" in text
    assert "Total  2 of 4 points" in text
    assert "labctl grade student1 --only dns.apex-address" in text
    assert "NFS" not in text


def test_full_marks_say_so_and_propose_nothing() -> None:
    text = render_scorecard(a_run(a_host(a_check("pass"), restored=True)))
    assert "Everything that was checked is right." in text
    assert "as they did before" in text
    assert "Next:" not in text


def test_a_section_of_which_something_could_not_be_judged_says_what_is_known() -> None:
    lost, right = a_check("error", id="dns.zone"), a_check("pass")
    heading = next(line for line in render_scorecard(a_run(a_host(lost, lost))).splitlines() if "DNS" in line)
    assert heading == "DNS  -/4 (not known)"
    assert "DNS  2/2 (2 more not known)" in render_scorecard(a_run(a_host(lost, right)))
    assert "DNS  2/4\n" in render_scorecard(a_run(a_host(a_check("fail"), right)))


def test_an_error_is_no_zero() -> None:
    host = a_host(
        a_check("error", seen="timeout: too slow"),
        a_check("pass"),
        status="error",
        score=None,
        error="unjudged: 1",
    )
    text = render_scorecard(a_run(host))
    assert "-/2" in text
    assert "Not finished: 2 of 2 points so far; 1 checks could not be judged" in text
    assert "Total" not in text


def test_a_vm_that_was_not_reached() -> None:
    host = a_host(status="error", score=None, max_score=None, seconds=None, error="unreachable: no route")
    text = render_scorecard(a_run(host, a_host(a_check("pass"))))
    assert "ERROR unreachable: no route" in text
    assert "student1  2 of 2" in text


def test_a_vm_of_which_every_check_was_left_out_is_no_error() -> None:
    out = [{"id": "a.one", "reason": "checked by staff"}]
    text = render_scorecard(a_run(a_host(left_out=out)))
    assert "ERROR" not in text
    assert "Everything that was checked" not in text
    assert "Total  0 of 0 points" in text
    assert "1 checks left out: 1 checked by staff" in text


def test_a_class_is_a_line_each_and_says_where_the_rest_is() -> None:
    lost = a_host(host="\x1b[2Jeve", status="error", score=None, error="unreachable: no route")
    broken = a_host(a_check("fail"), host="bob", restored=False)
    text = render_class(a_run(a_host(a_check("pass")), lost, broken))
    lines = text.splitlines()
    assert lines[0].split() == ["student1", "2", "of", "2"]
    assert "\x1b" not in text
    assert lines[1].endswith("eve  ERROR unreachable: no route")
    assert lines[2].split() == ["bob", "0", "of", "2", "workers", "NOT", "as", "before"]
    assert "labctl show r student1" in lines[-1]
    assert "labctl stats r" in lines[-1]


def test_workers_not_restored_are_shouted_about() -> None:
    assert "NOT" in render_scorecard(a_run(a_host(a_check("pass"), restored=False)))


def test_what_was_left_out_is_counted() -> None:
    left = [
        {"id": "lb.crash-503", "reason": "not asked for"},
        {"id": "nfs.write", "reason": "checked by staff"},
    ]
    text = render_scorecard(a_run(a_host(a_check("pass"), left_out=left)))
    assert "2 checks left out: 1 not asked for, 1 checked by staff" in text


def test_colours_only_when_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    run = a_run(a_host(a_check("fail")))
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b" not in render_scorecard(run, tty=False)
    assert "\x1b[" in render_scorecard(run, tty=True)
    monkeypatch.setenv("TERM", "dumb")
    assert "\x1b" not in render_scorecard(run, tty=True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in render_scorecard(run, tty=True)


def test_it_fits_80_columns() -> None:
    wide = a_check("fail", seen="word " * 100, hint="hint " * 50, expected="x" * 30)
    for line in render_scorecard(a_run(a_host(wide))).splitlines():
        assert len(line) <= 80, line


def unsafe(text: str) -> set[str]:
    return {
        one for one in text if unicodedata.category(one) in ("Cc", "Cf", "Cs", "Zl", "Zp") and one != "\n"
    }


nasty = st.text(max_size=60) | st.sampled_from(
    [
        "\x1b[31mred\x1b[0m", "\x1b]0;title\x07", "\x9b31m", "[bold red]markup[/]", "[link=http://x]y[/link]",
        "a\rb",
        "\u202etxt.exe", "\u2066\u2069", "a\nb\nPASS 2/2", ":smile:", "\x00", "\ud800", "\u2028",
    ]
)  # fmt: skip


@settings(max_examples=200)
@given(text=nasty, verdict=st.sampled_from(["pass", "fail", "skip", "error"]))
def test_nothing_from_a_vm_reaches_the_terminal_raw(text: str, verdict: str) -> None:
    bad = a_check(verdict, seen=text, expected=text, hint=text, title=text)
    run = a_run(
        a_host(bad, host=text, error=text, error_hint=text, left_out=[{"id": "nfs.swap", "reason": text}]),
        a_host(host=text, error=text, score=None),
    )
    run["hosts"][1]["status"] = "error"
    shown = render_scorecard(copy.deepcopy(run), tty=False)
    assert not unsafe(shown)
    coloured = re.sub(r"\x1b\[[0-9;]*m", "", render_scorecard(run, tty=True))
    assert not unsafe(coloured)
    for host in run["hosts"]:
        assert not unsafe(ended_line(1, 2, host, 0.5))
    assert not unsafe(lost_line(text, text))
    status = status_line(done=1, total=3, running=[text], failed=1, left=5.0, width=80, colour=False)
    assert not unsafe(status.plain)


def test_the_worst_words_of_a_whole_run() -> None:
    for render in (render_scorecard, render_class):
        assert not unsafe(render(speaking(WORST)))


def test_markup_is_text() -> None:
    text = render_scorecard(
        a_run(a_host(a_check("fail", seen="[bold]x[/bold] :smile:"))), tty=True, colour=True
    )
    assert "[bold]x[/bold] :smile:" in text


def test_a_vm_cannot_forge_a_line_of_the_scorecard() -> None:
    forged = "nothing\n  PASS    2/2   forged\nTotal  50 of 50 points"
    text = render_scorecard(a_run(a_host(a_check("fail", seen=forged))))
    assert not [line for line in text.splitlines() if line.startswith(("  PASS", "Total  50"))]


def test_a_written_answer_is_shown_and_marked_for_staff() -> None:
    wrong = a_check("fail", answer="it \x1b[31mworks\nsomehow", for_staff=True, question="2b")
    text = render_scorecard(a_run(a_host(wrong)))
    assert "wrote    it \\x1b[31mworks somehow" in text
    assert "note     for staff to read" in text
    assert "For staff to read: 2b" in text
    doubted = render_scorecard(
        a_run(a_host(a_check("pass", answer="or this", for_staff=True, question="3b")))
    )
    assert "wrote    or this" in doubted
    assert "For staff to read: 3b" in doubted
    right = render_scorecard(a_run(a_host(a_check("pass", answer="secret words", for_staff=False))))
    assert "secret words" not in right
    assert "staff" not in right
