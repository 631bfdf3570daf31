"""stats and compare over kept runs."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest
from graded import document
from hypothesis import given, settings
from hypothesis import strategies as st
from test_runs import LOST
from vms import labctl
from world import LAB, World, mount

from labctl.cli import main
from labctl.grading import compare, lab_document
from labctl.grading.statistics import duplicates, statistics
from labctl.report.stats_console import pass_rate, render_comparison, render_stats
from labctl.report.text import plain
from labctl.store import open_store

BEFORE, AFTER = "20261121T080000-aaaaaa", "20261122T080000-bbbbbb"


def read_only(host: str) -> dict[str, Any]:
    return document(host, World(mounts=[mount(options=("relatime", "ro"), super_options=("ro",))]))


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABCTL_DATABASE", f"sqlite:///{tmp_path}/results.sqlite")
    names = ["student1", "student2", "student3", "student4"]
    store = open_store(create=True)
    store.begin(BEFORE, lab_document(LAB), "2026-11-21T08:00:00Z", names)
    for one in (document("student1"), read_only("student2"), LOST, read_only("student4")):
        store.add(BEFORE, one)
    store.begin(AFTER, lab_document(LAB), "2026-11-22T08:00:00Z", names)
    for one in (document("student1"), document("student2"), document("student3")):
        store.add(AFTER, one)
    store.close()


def told(capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    assert main([*args, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("runs")
def test_stats_say_how_the_class_did_and_what_to_mend_first(capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "stats", BEFORE)["statistics"]
    full = found["scores"]["max_score"]
    assert (found["vms"], found["graded"], found["not_graded"]) == (4, 3, 1)
    assert (found["scores"]["highest"], found["scores"]["median"] < full) == (full, True)
    assert sum(bar["vms"] for bar in found["distribution"]) == 3
    assert found["layers"] == [{"section": "nfs", "layer": "config", "vms": 2}]
    (broken,) = [row for row in found["first_broken"] if row["section"] == "nfs"]
    assert (broken["check"], broken["hosts"]) == ("nfs.read-write", ["student2", "student4"])
    rates = {row["id"]: row["pass_rate"] for row in found["checks"]}
    assert (rates["nfs.package"], rates["nfs.read-write"]) == (1.0, 0.3333)
    causes = {row["cause"]: row["hosts"] for row in found["causes"]}
    assert causes == {
        "failed": ["student2", "student4"], "nothing": ["student1"], "unreachable": ["student3"],
    }  # fmt: skip
    assert main(["stats", BEFORE]) == 0
    text = capsys.readouterr().out
    assert "3 of 4 VMs graded" in text
    assert "unreachable: student3" in text


@pytest.mark.usefixtures("runs")
def test_compare_says_whose_points_changed_and_by_which_checks(capsys: pytest.CaptureFixture[str]) -> None:
    rows = {row["host"]: row for row in told(capsys, "compare", BEFORE, AFTER)["hosts"]}
    assert rows["student1"]["checks"] == []
    assert rows["student2"]["before"] < rows["student2"]["after"]
    assert "nfs.read-write" in {check["id"] for check in rows["student2"]["checks"]}
    assert (rows["student3"]["before"], rows["student3"]["error_before"]) == (None, LOST["error"])
    assert rows["student4"]["only_in"] == "before"
    assert main(["compare", BEFORE, AFTER]) == 0
    text = capsys.readouterr().out
    assert "nfs.read-write: fail 0/" in text
    assert "student3: no grade (unreachable: no answer) -> " in text
    assert "1 VM with nothing changed" in text


@pytest.mark.slow
def test_a_title_that_the_font_cannot_show_is_drawn_as_far_as_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_DATABASE", f"sqlite:///{tmp_path}/results.sqlite")
    store = open_store(create=True)
    store.begin(BEFORE, {**lab_document(LAB), "title": "网络服务"}, "2026-11-21T08:00:00Z", ["student1"])
    store.add(BEFORE, document("student1"))
    store.close()
    done = labctl("stats", BEFORE, "--plots", str(tmp_path / "class.png"))
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.usefixtures("runs")
def test_the_plots_are_pictures_and_the_words_of_an_svg_are_text(tmp_path: Path) -> None:
    png, svg = tmp_path / "class.png", tmp_path / "class.svg"
    assert labctl("stats", BEFORE, "--plots", str(png)).returncode == 0
    assert png.read_bytes().startswith(b"\x89PNG")
    assert labctl("stats", BEFORE, "--plots", str(svg)).returncode == 0
    words = " ".join(ET.fromstring(svg.read_text()).itertext())
    assert "Pass rate of each check" in words
    assert "nfs.read-write" in words
    wrong = labctl("stats", BEFORE, "--plots", str(tmp_path / "class.gif"))
    assert (wrong.returncode, "has to end in .png or .svg" in wrong.stderr) == (2, True)


def test_copies_of_a_vm_are_flagged() -> None:
    hosts = [
        {"host": name, "identity": {"host_key": key, "machine_id": machine}}
        for name, key, machine in [("a", "k1", "m1"), ("b", "k2", "m1"), ("c", "k3", ""), ("d", "k4", "")]
    ]
    assert duplicates([*hosts, LOST]) == [{"what": "machine_id", "hosts": ["a", "b"]}]


nasty = st.text(min_size=1) | st.sampled_from(["\x1b[31mred", "\u202etxt", "a\nb", "=1+1", "[bold]"])


@settings(max_examples=50, deadline=None)
@given(nasty)
def test_nothing_from_a_vm_reaches_the_terminal_raw(text: str) -> None:
    lost = {**LOST, "host": text, "error": text, "error_cause": text}
    good = {**document(), "host": text + "x"}
    shown = render_stats(
        {
            "run": BEFORE,
            "lab": "lab7",
            "keep": "last",
            "statistics": statistics([lost, good]),
            "duplicates": [{"what": "host_key", "hosts": [text, text]}],
        }
    )
    rows = compare([lost, good], [good])
    shown += render_comparison({"before": BEFORE, "after": AFTER, "hosts": rows})
    assert plain(shown) == shown


@pytest.mark.usefixtures("runs")
def test_a_run_compared_with_itself_has_no_difference(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", BEFORE, BEFORE]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["4 VMs with nothing changed"]


@pytest.mark.usefixtures("runs")
def test_stats_say_how_many_are_not_graded_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stats", AFTER]) == 0
    assert "3 of 4 VMs graded, 1 not graded yet" in capsys.readouterr().out


def test_a_heading_has_something_below_it() -> None:
    answer = {**document("a")["checks"][0], "verdict": "fail", "score": 0.0, "layer": None}
    shown = render_stats(
        {
            "run": BEFORE,
            "lab": "lab7",
            "keep": "last",
            "statistics": statistics([{**document("a"), "checks": [answer]}]),
        }
    )
    assert "What to mend first" in shown
    assert "Where services are broken first" not in shown
    empty = render_stats({"run": BEFORE, "lab": "lab7", "keep": "last", "statistics": statistics([])})
    assert empty.splitlines() == [f"{BEFORE}  lab7: 0 of 0 VMs graded"]


def test_points_of_8_6_of_86_are_in_the_second_bar() -> None:
    hosts = [{**LOST, "status": "graded", "score": 8.6 * n, "max_score": 86.0} for n in range(10)]
    assert [row["vms"] for row in statistics(hosts)["distribution"]] == [1] * 10


@pytest.mark.parametrize(
    ("passed", "failed", "said"),
    [
        (199, 1, "99%"),
        (1, 199, "1%"),
        (200, 0, "100%"),
        (0, 200, "0%"),
        (2, 1, "67%"),
        (99999, 1, "99%"),
        (0, 0, ""),
    ],
)
def test_100_per_cent_is_all_and_0_is_none(passed: int, failed: int, said: str) -> None:
    assert pass_rate({"pass": passed, "fail": failed, "skip": 0, "error": 3}) == said


def test_a_run_without_a_grade_has_no_figures() -> None:
    found = statistics([LOST])
    assert (found["scores"], found["distribution"], found["checks"]) == (None, [], [])
    assert "0 of 1 VMs graded" in render_stats(
        {"run": BEFORE, "lab": "lab7", "keep": "best", "statistics": found}
    )
