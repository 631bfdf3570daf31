"""What a lab asks, as text: the rubric for staff, the student's page, the file for written answers. No I/O.

All are made from the document of ``labctl lab show --json``.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from labctl.report.text import plain

WIDTH = 80
#: Of the handout's own lines.
PAGE = 112
#: Code in Markdown: between backticks, or a block indented by four.
_CODE = re.compile(r"`[^`]+`|^ {4}.*$", re.MULTILINE)
#: How an answer of each kind is asked for in the file for answers; "" where the question says it all.
_KINDS: dict[str, str] = {
    "command": "one command",
    "commands": "a command in each line",
    "records": "a record in each line",
    "word": "one word",
    "line": "one line",
    "lines": "",
    "text": "in your own words",
}


def render_rubric(document: Mapping[str, Any]) -> str:
    """Every question with its checks and its answer, and the points of each."""
    lines = [f"{document['lab']}: {document['title']}, {_worth(document)}"]
    for section, questions in _sections(document):
        lines += ["", f"{section['heading']} ({_worth(section)})"]
        for one in questions:
            lines.append("")
            lines += _wrapped(f"{one['id']:3} ", _first_line(one), width=WIDTH)
            if one["answer"]:
                lines += _wrapped(
                    f"      {'written answer':22}  {one['answer']['points']:>3g}  ", _answer(one)
                )
            for check in one["checks"]:
                mark = "*" if check["disruptive"] else " "
                points = "opt" if check["optional"] else f"{check['max_score']:g}"
                lines += _wrapped(f"      {check['id']:22}{mark} {points:>3}  ", _check(check))
    lines += ["", "* changes the VM for a while and puts it back; left out by --no-disrupt"]
    if any(check["optional"] for check in document["checks"]):
        lines.append("opt: optional, shown as information and without points")
    return plain("\n".join(lines)) + "\n"


def render_handout(document: Mapping[str, Any], known: Mapping[str, str] | None = None) -> str:
    """The student's page, in Markdown. ``known`` has what words of the document's names stand for; the others
    are left for the student, and said to be.
    """
    known = known or {}

    def filled(text: str) -> str:
        return _filled(text.strip(), known)

    left = {word: one["means"] for word, one in document["names"].items() if word not in known}
    parts = [f"# {document['title']}", f"{_worth(document)}.", filled(document["intro"]), _left(left)]
    for section, questions in _sections(document):
        parts.append(f"## {section['heading']} ({_worth(section)})")
        for one in questions:
            parts += [f"### Question {one['id']}", filled(one["do"])]
            if one["answer"]:
                asked = f"**Write down** ({_points(one['answer']['points'])}): {filled(one['answer']['ask'])}"
                parts.append("\n".join(_wrapped("", asked, width=PAGE)))
            if one["checks"]:
                rows = [f"- {check['title']} ({_worth_of(check)})" for check in one["checks"]]
                parts.append("Points for what your VM does:")
                parts.append("\n".join(rows))
    return plain("\n\n".join(part for part in parts if part)) + "\n"


def _filled(text: str, known: Mapping[str, str]) -> str:
    """The names put into commands, which are code; elsewhere the same words are just words."""
    if not known:
        return text
    names = re.compile(rf"\b({'|'.join(map(re.escape, known))})\b")
    return _CODE.sub(lambda code: names.sub(lambda word: known[word[0]], code[0]), text)


def _left(names: Mapping[str, str]) -> str:
    """What is for the student to fill in; "" for nothing."""
    told = [f"{means} for `{word}`" for word, means in names.items()]
    listed = " and ".join(filter(None, [", ".join(told[:-1]), *told[-1:]]))
    return "\n".join(_wrapped("", f"In the commands below, put {listed}.", width=PAGE)) if told else ""


def _worth_of(check: Mapping[str, Any]) -> str:
    return "optional" if check["optional"] else f"{check['max_score']:g}"


def render_answers_template(document: Mapping[str, Any]) -> str:
    """The YAML file that students fill in: an empty answer for each question, which stands in a comment."""
    lines = [
        f"# {document['title']}: your answers",
        "#",
        "# Write each answer into the lines under its question, indented by two spaces, as it is: nothing",
        "# has to be quoted. What begins with # at the edge of the page is not read, and ends the answer",
        "# above it. Any answer may stay empty.",
    ]
    for section, questions in _sections(document):
        asked = [one for one in questions if one["answer"]]
        if asked:
            lines += ["", "", f"# {section['heading']}"]
        for one in asked:
            lines += [
                "",
                *_wrapped("# ", _question(one), rest="# ", width=100),
                f"{_key(one['id'])}: |",
                "  ",
            ]
    return plain("\n".join(lines)) + "\n"


def _sections(document: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Each section that asks something, with what it is worth, and its questions with their checks."""
    for key, heading in document["sections"].items():
        questions = [
            {**one, "checks": [check for check in document["checks"] if check["question"] == one["id"]]}
            for one in document["questions"]
            if one["section"] == key
        ]
        if questions:
            whole = sum(check["max_score"] for one in questions for check in one["checks"])
            written = sum(one["answer"]["points"] for one in questions if one["answer"])
            yield {"heading": heading, "max_score": whole, "max_answers": written}, questions


def _worth(part: Mapping[str, Any]) -> str:
    """What a lab or a section is worth: "12 points, 6 more for answers"."""
    vm, written = part["max_score"], part["max_answers"]
    if not written:
        return _points(vm)
    return f"{_points(vm)}, {written:g} more for answers" if vm else f"{_points(written)} for answers"


def _points(number: float) -> str:
    return f"{number:g} point{'' if number == 1 else 's'}"


def _first_line(question: Mapping[str, Any]) -> str:
    answer = question["answer"]
    return str(answer["ask"] if answer else question["do"].strip().partition("\n")[0])


def _answer(question: Mapping[str, Any]) -> str:
    answer = question["answer"]
    ideas = [f"{one['name']} ({one['points']:g})" for one in answer["ideas"]]
    said = _KINDS[answer["kind"]] or "lines as they are"
    return f"{said}: {'; '.join(ideas)}" if ideas else said


def _check(check: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{name} {points:g}" for name, points in check["parts"].items())
    told = [check["title"], f"({parts})" if parts else "", f"[{check['layer']}]" if check["layer"] else ""]
    return " ".join(one for one in told if one)


def _question(question: Mapping[str, Any]) -> str:
    answer = question["answer"]
    told = ", ".join(part for part in (_points(answer["points"]), _KINDS[answer["kind"]]) if part)
    return f"{question['id']} ({told}): {answer['ask']}"


def _key(id: str) -> str:
    """A question's id as a key: quoted where YAML would take it for a number."""
    return id if yaml.safe_load(id) == id else f'"{id}"'


def _wrapped(first: str, text: str, *, rest: str = "", width: int = WIDTH) -> list[str]:
    indent = rest or " " * len(first)
    return textwrap.wrap(
        text,
        max(width, len(first) + 30),
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
