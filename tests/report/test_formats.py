"""What export writes is what its readers expect: each form is read again by a parser that is not ours."""

from __future__ import annotations

import csv
import io
import json
import re
import unicodedata
from typing import Any

import jsonschema
import pytest
from exported import GOOD, LOST, READ_ONLY, WORST, run_of, speaking, validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from junitparser import Failure as JUnitFailure
from junitparser import JUnitXml
from junitparser import Skipped as JUnitSkipped
from tap.parser import Parser as TapParser

from labctl.report.formats import FORMATS, only
from labctl.report.grade_console import render_scorecard
from labctl.report.gradescope import MAX_BYTES, gradescope_results
from labctl.report.text import JOINERS

#: Texts as a VM might choose them: anything, and more often than by chance what has a meaning somewhere.
TEXTS = st.lists(
    st.sampled_from(
        [
            "=",
            "+1",
            "@SUM(A1)",
            "<b>",
            "&amp;",
            "]]>",
            "</script>",
            "\x1b[2J",
            "\x00",
            "\r\n",
            "\n",
            "\t",
            "#",
            " # SKIP",
            " # TODO",
            "ok 1",
            "Bail out!",
            "---",
            "...",
            '"',
            "'",
            ",",
            ";",
            "\\",
            "\u202e",
            "\u2028",
            "\ufffe",
            "\ud800",
            "{{ x }}",
            "{% raw %}",
            "1..0",
            "pragma +strict",
        ]
    )
    | st.text(max_size=20),
    max_size=8,
).map("".join)
#: The lab's checks, and those of a VM in order that are optional.
COUNT = len(GOOD["checks"])
SKIPPED = sum(check["verdict"] == "skip" for check in GOOD["checks"])
FEW = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
_SAFE_CONTROLS = {"\n"}


def rendered(name: str, run: dict[str, Any]) -> str:
    """The run in a form; of those that hold one VM, the second."""
    form = FORMATS[name]
    return form.render(only(run, run["hosts"][1]) if form.each else run)


def raw_controls(text: str, allowed: set[str] = _SAFE_CONTROLS) -> set[str]:
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return {letter for letter in text if unicodedata.category(letter) in bad} - allowed


# -- Gradescope ------------------------------------------------------------------------------------


def test_results_json_is_what_the_documentation_says() -> None:
    results = json.loads(rendered("gradescope", run_of()))
    validate(results)
    assert sum(test["score"] for test in results["tests"]) == READ_ONLY["score"]
    assert sum(test["max_score"] for test in results["tests"]) == READ_ONLY["max_score"]
    assert isinstance(results["execution_time"], float)
    (failed,) = [test for test in results["tests"] if test["extra_data"]["check"] == "nfs.read-write"]
    assert (failed["status"], failed["number"], failed["score"], failed["tags"]) == (
        "failed",
        "1f",
        0.0,
        ["NFS"],
    )
    assert "the mount option rw" in failed["output"]
    assert {test["visibility"] for test in results["tests"]} == {"visible"}  # a hidden one hides the total


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"score": "44"},
        {"tests": [{"max_score": 2}]},
        {"tests": [{"score": 1, "status": "pass"}]},
        {"score": 1, "output_format": "markdown"},
        {"score": 1, "verdict": "pass"},
    ],
)
def test_the_schema_itself_refuses_what_gradescope_would(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validate(wrong)


def test_a_grade_that_is_not_complete_is_not_made_a_score() -> None:
    unknown = {**GOOD, "score": None, "status": "error", "error": "unjudged: 1 of 43 checks"}
    for host in (LOST, unknown):
        with pytest.raises(ValueError, match=host["host"]):
            gradescope_results(run_of(), host)


def test_a_vm_that_talks_without_end_does_not_make_the_file_large() -> None:
    checks = [{**check, "seen": "𝄞" * 5000} for check in READ_ONLY["checks"] * 10]
    text = FORMATS["gradescope"].render(run_of({**READ_ONLY, "checks": checks}))
    assert len(text.encode()) <= MAX_BYTES
    validate(json.loads(text))


@given(TEXTS)
@FEW
def test_nothing_from_a_vm_reaches_gradescope_raw(words: str) -> None:
    text = rendered("gradescope", speaking(words))
    results = json.loads(text)
    validate(results)
    assert not raw_controls(text)
    assert {results["output_format"], *(test["output_format"] for test in results["tests"])} == {"text"}
    for test in results["tests"]:
        assert not raw_controls(test["output"] + test["name"])


# -- the gradebook ---------------------------------------------------------------------------------


def gradebook(run: dict[str, Any]) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(rendered("csv", run), newline=""), strict=True))


def test_the_gradebook_has_a_row_for_everybody_and_no_zero_for_the_unknown() -> None:
    right, wrong, lost = gradebook(run_of())
    assert (right["vm"], right["score"], right["max_score"]) == ("student1", "60", "60")
    assert (wrong["score"], wrong["nfs.read-write"], wrong["nfs.mounted"]) == ("56", "0", "1")
    assert (lost["status"], lost["score"], lost["nfs.mounted"]) == ("error", "", "")
    assert lost["error"] == "unreachable: no answer"


def test_the_gradebook_has_every_digit_and_every_cell_in_quotes() -> None:
    run = run_of({**GOOD, "score": 10999.89, "max_score": 11000.5})
    (row,) = gradebook(run)
    assert (row["score"], row["max_score"], row["nfs.mounted"]) == ("10999.89", "11000.5", "1")
    for line in rendered("csv", run).splitlines():
        assert re.fullmatch(r'"[^"]*"(,"[^"]*")*', line)
    assert 'value="10999.89"' in rendered("junit", run)
    (host,) = run["hosts"]
    for text in (rendered("html", run), gradescope_results(run, host)["output"], render_scorecard(run)):
        assert "10999.89 of 11000.5 points" in text


@given(TEXTS)
@FEW
def test_no_cell_is_a_formula_and_no_row_is_added(words: str) -> None:
    rows = gradebook(speaking(words))
    assert len(rows) == 3
    for row in rows:
        assert None not in row
        for value in row.values():
            assert not value.lstrip().startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠"))
            assert not raw_controls(value, set(JOINERS))


def test_names_keep_the_joiners_that_they_are_written_with_and_nothing_else_does() -> None:
    name = "\u0639\u0644\u06cc\u200c\u0631\u0636\u0627"
    *_, row = gradebook(speaking(f"{name}\u202e"))
    assert (row["name"], row["sid"]) == (f"{name}\\u202e", f"{name}\\u202e".replace("\u200c", "\\u200c"))
    *_, row = gradebook(speaking("\u200c =1+1"))
    assert row["name"] == "'\u200c =1+1"
    assert name in rendered("html", speaking(name))


def test_a_formula_is_still_to_be_read() -> None:
    *_, row = gradebook(speaking('=HYPERLINK("http://evil","x")'))
    assert row["name"] == '\'=HYPERLINK("http://evil","x")'


# -- JUnit -----------------------------------------------------------------------------------------


def test_junit_counts_and_says_why() -> None:
    xml = JUnitXml.fromstring(rendered("junit", run_of()).encode())
    right, wrong, lost = list(xml)
    assert [(one.tests, one.failures, one.errors, one.skipped) for one in (right, wrong, lost)] == [
        (COUNT, 0, 0, SKIPPED),
        (COUNT, 1, 0, SKIPPED + 2),
        (1, 0, 1, 0),
    ]
    (failed,) = [case for case in wrong if any(isinstance(one, JUnitFailure) for one in case.result)]
    assert failed.name == "nfs.read-write: The private directory is mounted for reading and writing."
    assert "expected: the mount option rw" in failed.result[0].text
    assert sum(isinstance(one, JUnitSkipped) for case in wrong for one in case.result) == SKIPPED + 2
    assert next(iter(lost)).result[0].message == "unreachable: no answer"


def test_a_vm_of_which_every_check_was_left_out_is_no_error() -> None:
    left_out = [{"id": "nfs.mounted", "reason": "checked by staff"}]
    run = run_of({**GOOD, "checks": [], "left_out": left_out, "score": 0.0, "max_score": 0.0})
    xml = JUnitXml.fromstring(rendered("junit", run).encode())
    assert (xml.tests, xml.errors) == (0, 0)
    _, plan, *points = TapParser().parse_text(rendered("tap", run))
    assert (plan.expected_tests, points) == (0, [])


@given(TEXTS)
@FEW
def test_junit_stays_xml_and_holds_no_more_cases(words: str) -> None:
    text = rendered("junit", speaking(words))
    xml = JUnitXml.fromstring(text.encode())
    assert [len(list(suite)) for suite in xml] == [COUNT, COUNT, 1]
    assert not raw_controls(text)


# -- TAP -------------------------------------------------------------------------------------------


def test_tap_has_a_point_for_every_check() -> None:
    version, plan, *points = TapParser().parse_text(rendered("tap", run_of()))
    assert (version.version, plan.expected_tests) == (14, 2 * COUNT + 1)
    assert [point.number for point in points] == list(range(1, 2 * COUNT + 2))
    (failed,) = [point for point in points if not point.ok and "student2" in point.description]
    assert failed.yaml_block["expected"] == "the mount option rw"
    assert sum(point.skip for point in points) == 2 * SKIPPED + 2
    assert not points[-1].ok


@given(TEXTS)
@FEW
def test_no_word_of_a_vm_is_a_tap_line_or_directive(words: str) -> None:
    text = rendered("tap", speaking(words))
    _, plan, *points = TapParser().parse_text(text)
    assert [line.category for line in points] == ["test"] * plan.expected_tests
    assert sum(point.ok for point in points) == 2 * COUNT - 1
    assert sum(point.skip for point in points) == 2 * SKIPPED + 2
    assert not any(point.todo for point in points)
    assert not raw_controls(text)
    if words == words.strip() and words.isprintable():
        failed = next(point for point in points if not point.ok)
        assert failed.yaml_block["seen"] == words


@pytest.mark.parametrize("name", ["a # SKIP b", "a #TODO", "\\# skip"])
def test_a_name_is_no_directive_either(name: str) -> None:
    _, _, *points = TapParser().parse_text(rendered("tap", run_of({**GOOD, "host": name})))
    assert sum(point.skip or point.todo for point in points) == SKIPPED
    assert all(point.description.endswith(".") or point.skip for point in points)


# -- JSON ------------------------------------------------------------------------------------------


@given(TEXTS)
@FEW
def test_json_is_the_document_itself_in_ascii(words: str) -> None:
    run = speaking(words)
    text = rendered("json", run)
    assert json.loads(text) == run
    assert text.isascii()
    assert not raw_controls(text)


@pytest.mark.parametrize("name", FORMATS)
def test_the_worst_words_at_once(name: str) -> None:
    text = rendered(name, speaking(WORST))
    assert not raw_controls(text, {"\n", "\r"} if name == "csv" else {"\n"})
