"""A lab's rubric: what students are asked, and what each check and answer is worth. One file, ``rubric.yml``.

Checks (in Python) say what is right; the rubric (in YAML) says what that is worth and how it is asked. The
student's page, the file for written answers and every grade are made from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    StringConstraints,
    ValidationError,
    model_validator,
)

from labctl.documents import Map, Seq, load_yaml, nearest
from labctl.errors import CourseError, Place

#: What is written down for a question: one command or several (a line each), DNS records (a line each), one
#: word, one line, lines of a file, or sentences in the student's own words.
Kind = Literal["command", "commands", "records", "word", "line", "lines", "text"]


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if not line:
        raise ValueError("it must not be empty")
    return line


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as err:
        raise ValueError(f"{text!r} is not a regular expression: {err}") from err
    return text


Points = Annotated[float, Field(gt=0, le=1000, strict=True, allow_inf_nan=False)]
#: One line, however it is folded in the file.
Text = Annotated[str, AfterValidator(_one_line)]
Pattern = Annotated[str, AfterValidator(_pattern)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Idea(_Model):
    """Something that an answer in the student's own words should say. ``any``: regular expressions, one of
    which shows it; ``unless``: those that take it back. The case of letters does not matter.
    """

    name: Text
    points: Points
    any: tuple[Pattern, ...] = Field(min_length=1)
    unless: tuple[Pattern, ...] = ()


class Answer(_Model):
    """What is written down for a question. ``ideas`` only where ``kind`` is text; all of them together are
    worth ``points`` or more. ``secret``: the staff's inventory variable that holds the right word, which is
    compared where the grader runs, and is neither here nor on any VM.
    """

    ask: Text
    points: Points
    kind: Kind
    ideas: tuple[Idea, ...] = ()
    secret: str = ""

    @model_validator(mode="after")
    def _ideas_fit(self) -> Answer:
        if self.ideas and self.kind != "text":
            raise ValueError(f"ideas are looked for in an answer of kind text, not {self.kind}")
        whole = round(sum(one.points for one in self.ideas), 2)
        if self.ideas and whole < self.points:
            raise ValueError(f"its ideas give {whole:g} points together, less than its {self.points:g}")
        return self


class Question(_Model):
    """``section`` is a key of the rubric's sections. ``do``: what the student does, as Markdown."""

    id: Annotated[str, StringConstraints(pattern=r"^[0-9a-z]+$")]
    section: str
    do: str = ""
    answer: Answer | None = None


class Weight(_Model):
    """What a check is worth; ``parts``: of that, each of its parts, where a part alone has its points too."""

    points: Points
    parts: dict[str, Points] = {}

    @model_validator(mode="after")
    def _parts_fit(self) -> Weight:
        whole = round(sum(self.parts.values()), 2)
        if self.parts and whole != self.points:
            raise ValueError(f"its parts are worth {whole:g} points together, not {self.points:g}")
        return self


class Rubric(_Model):
    """``sections`` maps a key to a heading, in the order of the scorecard; ``checks`` a check's id to its
    weight. ``intro`` is the beginning of the student's page, as Markdown.
    """

    title: Text
    sections: dict[str, Text] = Field(min_length=1)
    intro: str = ""
    questions: tuple[Question, ...]
    checks: dict[str, Weight]
    _source: Map | None = PrivateAttr(None)

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
        return (*self.checks, *answers)

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
    """Read a rubric. Raises :class:`CourseError` with the place for whatever is wrong in it."""
    document = load_yaml(path, CourseError)
    if not isinstance(document, Map):
        raise CourseError("a rubric is a mapping: title, sections, questions, checks", place=Place(path))
    try:
        rubric = Rubric.model_validate(document)
    except ValidationError as err:
        raise _mistake(document, err) from err
    rubric._source = document
    seen: dict[str, int] = {}
    for question, place in _places(document["questions"], rubric.questions):
        first = seen.setdefault(question.id, place.line)
        if first != place.line:
            raise CourseError(f"the question {question.id} stands twice (first in line {first})", place=place)
        if question.section not in rubric.sections:
            near = nearest(question.section, rubric.sections)
            raise CourseError(
                f"question {question.id}: there is no section {question.section!r}",
                hint=f"did you mean {near}?" if near else f"there are: {', '.join(rubric.sections)}",
                place=place,
            )
    return rubric


def _places(source: Seq, questions: tuple[Question, ...]) -> Iterator[tuple[Question, Place]]:
    return ((one, source.at(at)) for at, one in enumerate(questions))


def _mistake(document: Map, err: ValidationError) -> CourseError:
    """The first of pydantic's errors, at its place in the file; a misspelt key before what it leaves out."""
    errors = err.errors(include_url=False)
    first = next((one for one in errors if one["type"] == "extra_forbidden"), errors[0])
    where = first["loc"]
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")
    hint = ""
    if first["type"] == "missing":
        message = f"{name} is missing"
    elif first["type"] == "extra_forbidden":
        known = list(_model_at(where[:-1]).model_fields)
        near = nearest(str(where[-1]), known)
        message = f"{name} is not known here"
        hint = f"did you mean {near}?" if near else f"it takes {', '.join(known)}"
    else:
        said = first["msg"].removeprefix("Value error, ")
        message = f"{name}: {said[:1].lower()}{said[1:]}"
    return CourseError(message, hint=hint, place=_place(document, where))


def _place(document: Map, where: tuple[int | str, ...]) -> Place:
    """The place of a value, or of what should hold it when it is not there."""
    place: Place = document.place
    value: Any = document
    for step in where:
        inside = step in value if isinstance(value, Map) else isinstance(value, Seq)
        if not inside:
            break
        place, value = value.at(step), value[step]
    return place


def _model_at(where: tuple[int | str, ...]) -> type[BaseModel]:
    """The model that describes the value at ``where``."""
    model: type[BaseModel] = Rubric
    for step in where:
        if step in model.model_fields:
            model = _inner(model.model_fields[str(step)].annotation) or model
    return model


def _inner(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for one in get_args(annotation) if (model := _inner(one))), None)
