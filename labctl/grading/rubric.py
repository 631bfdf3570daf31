"""A lab's rubric: what students are asked, and what each check and answer is worth. One file, ``rubric.yml``.

Checks (in Python) say what is right; the rubric (in YAML) says what that is worth and how it is asked. The
student's page, the file for written answers and every grade are made from it.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from labctl.documents import STRICT, did_you_mean, load_yaml, validated
from labctl.errors import CourseError, Place
from labctl.placed import Map, Seq, unplaced
from labctl.probes import Checked, Malformed, decode

#: What is written down for a question: one command or several (a line each), DNS records (a line each), one
#: word, one line, lines of a file, or sentences in the student's own words.
Kind = Literal["command", "commands", "records", "word", "line", "lines", "text"]


#: As many letters as a database of results takes.
LONGEST_TITLE = 200


class _Checked(Checked):
    """A check that pydantic makes too, which is imported only to say what is wrong with a rubric: the
    student's ``labctl.pyz`` has no compiled libraries.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic import BeforeValidator

        return BeforeValidator(self.check).__get_pydantic_core_schema__(source, handler)


def _points(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("input should be a valid number")  # noqa: TRY004  pydantic wants this one
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError("input should be a finite number")
    if isinstance(value, int | float) and not 0 < value <= 1000:
        raise ValueError("input should be greater than 0 and at most 1000")
    if isinstance(value, int | float) and round(value, 2) != value:
        # scores are rounded to hundredths: nobody could ever have all of its points
        raise ValueError(f"points have two decimals at most, not {value}")
    return value


def _one_line(value: Any) -> Any:
    line = " ".join(value.split()) if isinstance(value, str) else value
    if line == "":
        raise ValueError("it must not be empty")
    return line


def _title(value: Any) -> Any:
    line = _one_line(value)
    if isinstance(line, str) and len(line) > LONGEST_TITLE:
        raise ValueError(f"a title has at most {LONGEST_TITLE} letters, not {len(line)}")
    return line


def _pattern(value: Any) -> Any:
    try:
        re.compile(str(value))
    except re.error as err:
        raise ValueError(f"{value!r} is not a regular expression: {err}") from err
    return value


def _id(value: Any) -> Any:
    if isinstance(value, str) and not re.fullmatch(r"[0-9a-z]+", value):
        raise ValueError("a question is called 1a, or 2")
    return value


def _some(value: Any) -> Any:
    if value in ([], {}):
        raise ValueError("there is nothing in it")
    return value


Points = Annotated[float, _Checked(_points)]
#: One line, however it is folded in the file.
Text = Annotated[str, _Checked(_one_line)]
Title = Annotated[str, _Checked(_title)]
Pattern = Annotated[str, _Checked(_pattern)]


@dataclass(frozen=True)
class Idea:
    """Something that an answer in the student's own words should say. ``any``: regular expressions, one of
    which shows it; ``unless``: those that take it back. The case of letters does not matter.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    name: Text
    points: Points
    any: Annotated[tuple[Pattern, ...], _Checked(_some)]
    unless: tuple[Pattern, ...] = ()


@dataclass(frozen=True)
class Answer:
    """What is written down for a question. ``ideas`` only where ``kind`` is text; all of them together are
    worth ``points`` or more. ``secret``: the staff's inventory variable that holds the right word, which is
    compared where the grader runs, and is neither here nor on any VM.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    ask: Text
    points: Points
    kind: Kind
    ideas: tuple[Idea, ...] = ()
    secret: str = ""

    def __post_init__(self) -> None:
        if self.ideas and self.kind != "text":
            raise ValueError(f"ideas are looked for in an answer of kind text, not {self.kind}")
        whole = round(sum(one.points for one in self.ideas), 2)
        if self.ideas and whole < self.points:
            raise ValueError(f"its ideas give {whole:g} points together, less than its {self.points:g}")


@dataclass(frozen=True)
class Question:
    """``section`` is a key of the rubric's sections. ``do``: what the student does, as Markdown."""

    __pydantic_config__: ClassVar[Any] = STRICT

    id: Annotated[str, _Checked(_id)]
    section: str
    do: str = ""
    answer: Answer | None = None


@dataclass(frozen=True)
class Weight:
    """What a check is worth; ``parts``: of that, each of its parts, where a part alone has its points too."""

    __pydantic_config__: ClassVar[Any] = STRICT

    points: Points
    parts: dict[str, Points] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole = round(sum(self.parts.values()), 2)
        if self.parts and whole != self.points:
            raise ValueError(f"its parts are worth {whole:g} points together, not {self.points:g}")


@dataclass(frozen=True)
class Name:
    """What a word in the commands of the student's page stands for, and the inventory's variable for it."""

    __pydantic_config__: ClassVar[Any] = STRICT

    means: Text
    variable: Text


@dataclass(frozen=True)
class Rubric:
    """``sections`` maps a key to a heading, in the order of the scorecard; ``checks`` a check's id to its
    weight. ``intro`` is the beginning of the student's page, as Markdown; ``names`` are words in its commands
    that differ from course to course or from student to student. ``by_staff`` are checks that only staff
    have, and their points: in the rubric that students get, and only there.
    """

    __pydantic_config__: ClassVar[Any] = STRICT

    title: Title
    sections: Annotated[dict[str, Text], _Checked(_some)]
    questions: tuple[Question, ...]
    checks: dict[str, Weight]
    intro: str = ""
    names: dict[str, Name] = field(default_factory=dict)
    by_staff: dict[str, Points] = field(default_factory=dict)
    _source: ClassVar[Map | None] = None

    @property
    def place(self) -> Place | None:
        """Where ``checks`` begins in the file; None for a rubric that was not read from one."""
        return self._source.key_at("checks") if self._source else None

    def place_of(self, check: str) -> Place | None:
        """Where the weight of a check stands in the file."""
        if self._source is None:
            return None
        questions = zip(self._source["questions"], self.questions, strict=True)
        stands = {f"{ANSWER}{one.id}": (source, "answer") for source, one in questions}
        holder, key = stands.get(check, (self._source["checks"], check))
        place: Place = holder.key_at(key)
        return place

    @property
    def weighed(self) -> tuple[str, ...]:
        """The ids of all checks that have a weight here, those of written answers too."""
        answers = [f"{ANSWER}{one.id}" for one in self.questions if one.answer]
        return (*self.checks, *(one for one in answers if one not in self.by_staff))

    def question(self, id: str) -> Question | None:
        return next((one for one in self.questions if one.id == id), None)

    def weight(self, check: str) -> Weight | None:
        """What a check is worth: that of ``answer.1a`` stands with the question 1a."""
        question = self.question(check.removeprefix(ANSWER)) if check.startswith(ANSWER) else None
        if question and question.answer:
            return Weight(points=question.answer.points)
        return self.checks.get(check)


#: How the ids of checks of written answers begin; the question's id follows.
ANSWER = "answer."


def load_rubric(path: Path) -> Rubric:
    """Read a rubric. Raises :class:`CourseError` with the place for whatever is wrong in it.

    Where there is no such file, but one of :func:`for_students`, it is that one.
    """
    if not path.exists() and path.with_suffix(".json").is_file():
        return _read_for_students(path.with_suffix(".json"))
    document = load_yaml(path, CourseError)
    try:
        # the tenth part of a grader's memory is pydantic's, and what this takes, it reads as the same
        rubric = decode(Rubric, unplaced(document))
    except Malformed:
        rubric = validated(Rubric, document, path, CourseError)
    object.__setattr__(rubric, "_source", document)
    if "by_staff" in document:
        raise CourseError(
            "by_staff is not for a rubric that is written: it is what students' copies say",
            hint="checks that only staff have stand in the lab's staff.py",
            place=document.key_at("by_staff"),
        )
    seen: dict[str, int] = {}
    for question, place in _places(document["questions"], rubric.questions):
        first = seen.setdefault(question.id, place.line)
        if first != place.line:
            raise CourseError(f"the question {question.id} stands twice (first in line {first})", place=place)
        if question.section not in rubric.sections:
            raise CourseError(
                f"question {question.id}: there is no section {question.section!r}",
                hint=did_you_mean(
                    question.section, rubric.sections, f"there are: {', '.join(rubric.sections)}"
                ),
                place=place,
            )
    return rubric


def for_students(rubric: Rubric, by_staff: Collection[str]) -> str:
    """The rubric as JSON, for who has not pydantic; without what shows how to please the grader.

    ``by_staff`` are the ids of the checks that students do not have.
    """
    questions = [
        replace(one, answer=replace(one.answer, ideas=(), secret="") if one.answer else None)
        for one in rubric.questions
    ]
    mine = replace(
        rubric,
        questions=tuple(questions),
        checks={id: one for id, one in rubric.checks.items() if id not in by_staff},
        by_staff={id: one.points for id in rubric.weighed if id in by_staff and (one := rubric.weight(id))},
    )
    return json.dumps(asdict(mine), ensure_ascii=False, indent=1)


def _read_for_students(path: Path) -> Rubric:
    try:
        return decode(Rubric, json.loads(path.read_text(encoding="utf-8")))
    except (Malformed, ValueError) as err:
        raise CourseError(f"the file is damaged: {err}", place=Place(path)) from err


def _places(source: Seq, questions: tuple[Question, ...]) -> Iterator[tuple[Question, Place]]:
    return ((one, source.at(at)) for at, one in enumerate(questions))
