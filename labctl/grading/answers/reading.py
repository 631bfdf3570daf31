"""Answers files: YAML that a student wrote. Nothing in them is trusted.

The file is read event by event, which takes time and memory by its length alone: no anchors, no tags, nothing
nested, every scalar the text that stands there (``off`` is a word and no boolean).
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from labctl.documents import did_you_mean
from labctl.errors import Place, RequestError
from labctl.grading.rubric import Rubric

#: Bytes of one file, characters of one answer, items of a list.
MAX_FILE, MAX_ANSWER, MAX_ITEMS = 128 * 1024, 8000, 100
SUFFIXES = (".yml", ".yaml")
#: What ends a line for YAML 1.1, and so for the marks of its events.
_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class AnswersError(RequestError):
    """An answers file cannot be used as it is."""


@dataclass(frozen=True)
class Answers:
    """What one student wrote: the texts by question; a list's items are lines. ``name`` is the file's."""

    name: str
    texts: Mapping[str, str]


def read_answers(path: Path, rubric: Rubric) -> Answers:
    """The answers in a file. Raises :class:`AnswersError` with the place of what is wrong.

    A question that is left out, or has nothing after its colon, is not in ``texts``.
    """
    text = _text_of(path)
    reader = _Reader(path, text)
    asked = [one.id for one in rubric.questions if one.answer]
    texts: dict[str, str] = {}
    seen: dict[str, int] = {}
    for question, place, answer in reader.read():
        if question not in asked:
            if rubric.question(question):
                raise AnswersError(f"nothing is written down for question {question}", place=place)
            raise AnswersError(
                f"there is no question {question!r}",
                hint=did_you_mean(question, asked, f"the questions are {', '.join(asked)}"),
                place=place,
            )
        if question in seen:
            raise AnswersError(
                f"question {question} is answered twice (first in line {seen[question]})", place=place
            )
        seen[question] = place.line
        if answer:
            texts[question] = answer
    return Answers(path.name, texts)


def find_answers(path: Path, hosts: Sequence[str], known: Sequence[str]) -> dict[str, Path]:
    """The file for each of ``hosts`` in the directory ``path``; ``known`` are all VMs that there are.

    A host without a file is left out. Raises :class:`AnswersError` for a file that belongs to no VM, and for
    two that belong to one.
    """
    found: dict[str, Path] = {}
    try:
        files = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES)
    except OSError as err:
        raise AnswersError(f"cannot read the directory: {err.strerror}", place=Place(path)) from err
    for one in files:
        name = one.name.removesuffix(one.suffix)
        if name not in known and name not in hosts:
            raise AnswersError(
                f"there is no VM {name!r} to which these answers belong",
                hint=did_you_mean(name, known, "a file is named after its VM: alice.yml"),
                place=Place(one),
            )
        if name in found:
            raise AnswersError(f"{name} has another file of answers, {found[name].name}", place=Place(one))
        found[name] = one
    return {name: one for name, one in found.items() if name in hosts}


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as handle:
            data = handle.read(MAX_FILE + 1)
    except OSError as err:
        raise AnswersError(f"cannot read the file: {err.strerror}", place=Place(path)) from err
    if len(data) > MAX_FILE:
        raise AnswersError(f"the file is longer than {MAX_FILE // 1024} KiB", place=Place(path))
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        place = Place(path, line, err.start - data.rfind(b"\n", 0, err.start))
        raise AnswersError("the file is not UTF-8 text", place=place) from err


class _Reader:
    """``question: answer`` pairs from YAML's events, an answer being text or a list of texts."""

    def __init__(self, path: Path, text: str) -> None:
        self._path = path
        self._lines = _BREAK.split(text)
        self._text = text

    def read(self) -> Iterator[tuple[str, Place, str]]:
        events = self._events()
        event = next(events, None)
        if event is None:
            return
        if not isinstance(event, yaml.MappingStartEvent):
            raise self._error(event, "an answers file has a line for each question: 1a: sudo mount ...")
        for event in events:
            if isinstance(event, yaml.MappingEndEvent):
                break
            question = self._scalar(event, "the name of a question")
            yield question.strip(), self._place(event), self._answer(next(events), events)
        for event in events:
            raise self._error(event, "there is a second document in this file")

    def _answer(self, event: Any, events: Iterator[Any]) -> str:
        if not isinstance(event, yaml.SequenceStartEvent):
            return self._scalar(event, "an answer")
        items = []
        for item in events:
            if isinstance(item, yaml.SequenceEndEvent):
                break
            items.append(self._scalar(item, "an answer's line"))
            if len(items) > MAX_ITEMS:
                raise self._error(item, f"an answer has at most {MAX_ITEMS} lines")
        text = "\n".join(items)
        if len(text) > MAX_ANSWER:
            raise self._error(event, f"this answer has {len(text)} characters; at most {MAX_ANSWER} are read")
        return text

    def _scalar(self, event: Any, what: str) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            raise self._error(event, f"{what} is text, or a list of lines")
        text = self._as_written(event).strip("\n").rstrip()
        if not event.style and event.value in ("~", "null"):
            text = ""
        if len(text) > MAX_ANSWER:
            raise self._error(event, f"this answer has {len(text)} characters; at most {MAX_ANSWER} are read")
        if "\0" in text:
            raise self._error(event, "there is a NUL character in this answer")
        return text

    def _as_written(self, event: Any) -> str:
        """The scalar's text with its lines: YAML makes one of them after ``>``, and of those that begin below
        their question without ``|``. What it takes for a comment behind an answer is part of it.
        """
        first, last = event.start_mark, event.end_mark
        # a mark may be a line behind the text's end
        ending = (line[: last.column] for line in self._lines[last.line : last.line + 1])
        whole = [*self._lines[first.line : last.line], *ending]
        if event.style == ">":
            return textwrap.dedent("\n".join(whole[1:]))
        text = str(event.value)
        if not event.style and len(whole) > 1 and not whole[0][: first.column].strip():
            text = "\n".join(line.strip() for line in whole)
        behind = "".join(self._lines[last.line : last.line + 1])[last.column :]
        if not event.style and behind.lstrip().startswith("#"):
            text = (text + behind).strip()
        return text

    def _events(self) -> Iterator[Any]:
        """The events within documents. Raises AnswersError for bad YAML and for what answers have no use
        for.
        """
        try:
            for event in yaml.parse(self._text, Loader=_Loader):
                if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
                    raise self._error(event, "& and * begin names in YAML", "put the answer in quotes")
                if getattr(event, "tag", None):
                    raise self._error(event, "! begins a tag in YAML", "put the answer in quotes")
                if isinstance(event, yaml.NodeEvent | yaml.CollectionEndEvent):
                    yield event
        except yaml.MarkedYAMLError as err:
            mark = err.problem_mark or err.context_mark
            hint = "write the answer below its question, indented, after `|`: see the template"
            if self._behind_a_comment(mark):
                hint = "the line above, with # at the edge of the page, ends the answer: indent it too"
            raise AnswersError(
                f"not valid YAML: {err.problem or err.context}",
                hint=hint,
                place=self._at(mark) if mark else Place(self._path),
            ) from err
        except yaml.YAMLError as err:
            position = getattr(err, "position", None)
            before = self._text[:position] if isinstance(position, int) else ""
            line = before.count("\n") + 1
            place = Place(self._path, line, len(before) - before.rfind("\n"))
            raise AnswersError("there is a character that YAML does not allow", place=place) from err

    def _behind_a_comment(self, mark: Any) -> bool:
        """Whether an indented line follows one with # at the edge of the page."""
        at = mark.line if mark else 0
        # a mark may be a line behind the text's end
        return 0 < at < len(self._lines) and bool(
            self._lines[at - 1].startswith("#") and self._lines[at][:1].isspace()
        )

    def _error(self, event: Any, message: str, hint: str = "") -> AnswersError:
        return AnswersError(message, hint=hint, place=self._place(event))

    def _place(self, event: Any) -> Place:
        return self._at(event.start_mark)

    def _at(self, mark: Any) -> Place:
        text = self._lines[mark.line] if mark.line < len(self._lines) else ""
        return Place(self._path, mark.line + 1, mark.column + 1, text[:200])
