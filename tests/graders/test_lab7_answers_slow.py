"""Answers that were made to be slow, within the bounds of a file. Python's lock is held while they are
read: by one student for the whole class.
"""

from __future__ import annotations

import contextlib
from itertools import product
from pathlib import Path

import pytest
from cpu import within_seconds_of_cpu
from lab7_answers import RIGHT
from world import LAB, World

from labctl.grading import Verdict
from labctl.grading.answers import AnswersError, read_answers
from labctl.grading.answers.reading import MAX_ANSWER, MAX_FILE
from labctl.probes import Socket

#: CPU for one answer. Most of these took from that to hours once; the rest are what could again.
SECONDS = 0.5
ANSWERED = {question: forms[0] for question, forms in RIGHT.items()}

_HEX = "0123456789abcdef"
_NAMES = " ".join("".join(one) for one in product(_HEX, repeat=3))
_PORTS = ",".join(f"{n}-{n + 64}" for n in range(1, 1000))
_IDEOGRAMS = "".join(chr(0x4E00 + n) for n in range(7900))

#: Case -> question, answer.
SLOW = {
    "a port and blanks": ("0a", "tcp 1" + " " * 7900 + "x"),
    "ports and blanks": ("0a", "tcp " + ("1" + " " * 1000) * 7 + "x"),
    "ports in a row": ("0a", "tcp " + "1," * 3900),
    "ports in a row and a name": ("0a", "tcp " + "1," * 3900 + "a"),
    "ports without an end": ("0a", "\n".join(["tcp " + "12345and " * 290] * 3)),
    "ranges": ("0a", "tcp " + _PORTS),
    "commas": ("0a", "tcp 1" + "," * 7900),
    "dots": ("0a", "tcp 1 a" + "." * 7900 + "x"),
    "addresses": ("0a", "tcp " + "127.1" * 1580 + ":1"),
    "slashes in quotes": ("1d", "'" + "/" * 3900 + '"' + "/" * 4000),
    "a grep without lines": ("2a", "systemctl\ngrep -" + "v" * 7900 + "1"),
    "an open pattern": ("2a", "systemctl status " + "[" * 7900),
    "a name in another script": ("2d", f"{_IDEOGRAMS} A 10.0.0.1"),
    "names in another script": (
        "2d",
        "".join(f"{_IDEOGRAMS[n : n + 256]} A 1\n" for n in range(0, 7600, 256)),
    ),
    "a map of bits": ("2d", "api WKS 10.0.0.1 6 99999999"),
    "a map of bits, by number": ("2d", "api type011 10.0.0.1 6 \\09999999"),
    "lines that are no records": ("2d", " a\n" * 2660),
    "dots in a record": ("2d", 'a CAA 0 issue "' + "a." * 3900 + '"'),
    "queries of two servers": ("2e", f"dig @localhost {_NAMES[:3900]}\ndig @other {_NAMES[:3900]}"),
    "crashes": ("3e", "fail" * 1990),
    "crashes that do not pass": ("3e", "not pass" * 990),
    "digits": ("3f", "1" * 7900),
}


@pytest.mark.parametrize(("question", "text"), SLOW.values(), ids=SLOW)
def test_an_answer_that_was_made_to_be_slow_is_judged(question: str, text: str) -> None:
    assert len(text) <= MAX_ANSWER
    world = World(answers={**ANSWERED, question: text})
    World(answers=ANSWERED).judge(only=[f"answer.{question}"])  # what is made once
    with within_seconds_of_cpu(SECONDS):
        results = world.judge(only=[f"answer.{question}"])
    assert {one.check.id: one.verdict for one in results}[f"answer.{question}"] is Verdict.FAIL


def test_many_queries_for_many_records_are_judged() -> None:
    records = "\n".join(f"a{n} A 10.0.0.{n}" for n in range(20))
    world = World(answers={**ANSWERED, "2d": records, "2e": f"dig @localhost {_NAMES[:7900]}"})
    with within_seconds_of_cpu(SECONDS):
        world.judge(only=["answer.2e"])


def test_a_name_among_hundreds_is_looked_for() -> None:
    world = World(answers={**ANSWERED, "1f": "a " * 3900})
    world.staff_entries = tuple("a " * 100 + f"b{n}" for n in range(500))
    with within_seconds_of_cpu(SECONDS):
        world.judge(only=["answer.1f"])


def test_services_beside_a_long_table_are_judged() -> None:
    world = World(answers={**ANSWERED, "0a": f"tcp {_PORTS}"})
    world.listening = tuple(Socket("udp", "0.0.0.0", n, n, f"p{n}", f"p{n}.service") for n in range(1, 2000))
    with within_seconds_of_cpu(SECONDS):
        world.judge(only=["answer.0a"])


@pytest.mark.parametrize("port", ["000001" + "0" * 5000, "1" * 5000, "0", "00053x"])
def test_a_port_that_is_none_is_no_port(port: str) -> None:
    (result,) = [
        one
        for one in World(answers={**ANSWERED, "2e": f"dig -p {port} @localhost a"}).judge(only=["answer.2e"])
        if one.check.id == "answer.2e"
    ]
    assert "is no port" in result.judgement.seen


_QUESTIONS = [one.id for one in LAB.rubric.questions if one.answer]
#: A list's items on one line of the file, which is as wide as it may be.
_LISTS = ", ".join(f"{one}: [{','.join('x' * 100)}]" for one in _QUESTIONS)
FILES = {
    "blanks": "1a: >\n" + " " * 130_000 + "x",
    "lists on a wide line": "{" + _LISTS + "}" + " " * 100_000 + "#\U0001f600",
    "open brackets": "1a: " + "[" * 130_000,
    "long question": "? " + "1a" * 3900 + "\n: x\n",
    "questions": "".join(f"k{n}: v\n" for n in range(14_000)),
    "folded": "1a: >\n" + " x\n" * 40_000,
    "tags": "".join(f"%TAG !{n:x}! b\n" for n in range(9000)) + "---\n1a: x\n",
}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_a_file_that_was_made_to_be_slow_is_read(text: str, tmp_path: Path) -> None:
    path = tmp_path / "alice.yml"
    path.write_text(text[:MAX_FILE], encoding="utf-8")
    with within_seconds_of_cpu(1.0), contextlib.suppress(AnswersError):
        read_answers(path, LAB.rubric)
