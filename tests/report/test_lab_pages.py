"""A lab's pages: the rubric, the student's page, the file for answers, all from one document."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any, get_args

import yaml
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from world import LAB

from labctl.grading import Judgement, Lab, See, Target, load_rubric, passed, rubric_document
from labctl.grading.answers import answer, read_answers
from labctl.grading.rubric import Kind
from labctl.report.lab_pages import render_answers_template, render_handout, render_rubric

DOCUMENT = rubric_document(LAB)
QUESTIONS = ["0a", *(f"1{one}" for one in "abcdef"), *(f"2{one}" for one in "abcde")]
QUESTIONS += [f"3{one}" for one in "abcdef"]


def test_every_question_of_the_lab_is_asked_and_the_vm_alone_has_60_points() -> None:
    assert [one["id"] for one in DOCUMENT["questions"]] == QUESTIONS
    assert all(one["answer"] for one in DOCUMENT["questions"])
    scored = [one for one in DOCUMENT["checks"] if not one["optional"]]
    assert (DOCUMENT["max_score"], len(scored)) == (60, 43)
    assert DOCUMENT["max_answers"] == sum(one["answer"]["points"] for one in DOCUMENT["questions"])


def test_the_rubric_goes_by_question_and_has_every_check_and_its_points() -> None:
    text = render_rubric(DOCUMENT)
    assert [m[1] for m in re.finditer(r"^(\d\w)  \S", text, re.MULTILINE)] == QUESTIONS
    for check in DOCUMENT["checks"]:
        worth = "opt" if check["optional"] else f"{check['max_score']:g}"
        assert re.search(rf"^ +{check['id']} +\*? +{worth}  ", text, re.MULTILINE)
    assert text.count("written answer ") == len(QUESTIONS)
    assert "(running 0.5, at boot 0.5) [unit]" in text
    assert max(len(line) for line in text.splitlines()) <= 80


def test_the_handout_asks_everything_and_gives_nothing_away() -> None:
    text = render_handout(DOCUMENT)
    for one in DOCUMENT["questions"]:
        assert f"### Question {one['id']}\n" in text
        assert one["answer"]["ask"] in " ".join(text.split())
    patterns = [
        pattern
        for one in LAB.rubric.questions
        if one.answer
        for idea in one.answer.ideas
        for pattern in (*idea.any, *idea.unless)
    ]
    assert not [pattern for pattern in patterns if pattern in text]
    assert "roundrobin" not in text
    assert "503" not in text.replace("The HTTP status", "").split("### Question 3f")[1].partition("Points")[0]


def test_the_names_that_differ_are_filled_in_where_they_are_known() -> None:
    """In commands, and nowhere else: VM is a word as well."""
    bare = render_handout(DOCUMENT)
    for word in ("`STAFF:/opt/lab7/public`", "`STAFF:/opt/lab7/private/USER`", "`http://VM:7000/crash`"):
        assert word in bare
    assert "put the name of the staff's server for `STAFF`, the full name" in " ".join(bare.split())
    course = render_handout(DOCUMENT, {"STAFF": "nfs.example.org"})
    assert "`nfs.example.org:/opt/lab7/private/USER`" in course
    assert "put the full name of your own VM for `VM` and your username for `USER`." in course
    whole = render_handout(DOCUMENT, {"STAFF": "nfs.example.org", "VM": "a.example.org", "USER": "alice"})
    assert "`nfs.example.org:/opt/lab7/private/alice`" in whole
    assert "`http://a.example.org:7000/crash`" in whole
    assert "Everything is done on your VM" in whole
    assert not re.search(r"\bSTAFF\b|\bUSER\b|`VM`|In the commands below", whole)
    assert max(map(len, bare.splitlines())) <= 116


def test_the_handout_is_markdown_with_a_heading_for_each_section_and_question() -> None:
    tokens = MarkdownIt().parse(render_handout(DOCUMENT))
    headings = [one.tag for one in tokens if one.type == "heading_open"]
    assert (headings.count("h1"), headings.count("h2"), headings.count("h3")) == (1, 4, len(QUESTIONS))
    code = [one.content for one in tokens if one.type == "code_block"]
    assert any('zone "example.com"' in one for one in code)
    assert any("stats uri /stats" in one for one in code)


def test_the_template_loads_again_as_an_empty_answer_for_each_question() -> None:
    text = render_answers_template(DOCUMENT)
    assert yaml.safe_load(text) == dict.fromkeys(QUESTIONS, "")
    comments = re.sub(r"\s*\n#\s*", " ", text)
    for one in DOCUMENT["questions"]:
        assert one["answer"]["ask"] in comments


def test_what_is_written_under_a_question_is_its_answer_as_it_is(tmp_path: Path) -> None:
    awkward = "touch: cannot touch '/mnt/x': Read-only file system\n  # \"two\" spaces more: [yes]\n"
    text = render_answers_template(DOCUMENT)
    filled = text.replace("1d: |\n  \n", "1d: |\n  " + awkward.replace("\n", "\n  "))
    path = tmp_path / "answers.yml"
    path.write_text(text)
    assert read_answers(path, LAB.rubric).texts == {}
    path.write_text(filled)
    assert read_answers(path, LAB.rubric).texts == {"1d": awkward.rstrip()}


def as_it_is(_vm: Target, _see: See, _text: str) -> Judgement:
    """Any answer will do."""
    return passed()


WORDS = st.text(min_size=1).filter(lambda text: bool(text.strip()))


@given(
    # a longer one is refused
    title=st.text(min_size=1, max_size=200).filter(lambda text: bool(text.strip())),
    heading=WORDS,
    ask=WORDS,
    do=st.text(),
    kind=st.sampled_from(get_args(Kind)),
    id=st.from_regex(r"[0-9a-z]{1,4}", fullmatch=True),
)
def test_whatever_is_asked_the_template_loads(
    title: str, heading: str, ask: str, do: str, kind: Any, id: str
) -> None:
    question = {"id": id, "section": "a", "do": do, "answer": {"ask": ask, "points": 1, "kind": kind}}
    source = {"title": title, "sections": {"a": heading}, "questions": [question], "checks": {}}
    with tempfile.TemporaryDirectory() as home:
        path = Path(home, "rubric.yml")
        path.write_text(yaml.safe_dump(source))
        rubric = load_rubric(path)
    document = rubric_document(Lab.of("test", rubric, (answer(id)(as_it_is),)))
    assert yaml.safe_load(render_answers_template(document)) == {id: ""}
    assert render_handout(document).count("\n### Question ") >= 1
    assert id in render_rubric(document)
