"""What a student wrote, as evidence: it is asked for like an observation, stored and judged again like one.

The staff's secrets are compared here, where the grader runs; what is kept is whether they are the same.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from labctl.errors import InventoryError
from labctl.grading.answers.pasted import words_of
from labctl.grading.answers.reading import Answers
from labctl.grading.evidence import Evidence
from labctl.grading.rubric import Rubric
from labctl.inventory import Host
from labctl.probes import Observed, Probe, Request
from labctl.probes.decoding import decode

#: Words in an answer in which a secret may stand, and lines of which one may be the secret.
_MAX_WORDS, _MAX_LINES = 12, 12
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True)
class Written:
    """The answer to one question, "" when there is none."""

    text: str


@dataclass(frozen=True)
class Compared:
    """Whether an answer says the staff's secret; ``words`` is how many words it has."""

    same: bool
    words: int


_WRITTEN = Probe("written", Written, lambda data: decode(Written, data))
_COMPARED = Probe("compared", Compared, lambda data: decode(Compared, data))


def written(question: str) -> Request[Written]:
    """The answer to a question."""
    return Request(_WRITTEN, {"question": question}, vantage="answers")


def compared(question: str) -> Request[Compared]:
    """Whether the answer to a question says the secret that the rubric names for it."""
    return Request(_COMPARED, {"question": question}, vantage="answers")


def secrets_for(rubric: Rubric, host: Host, staff: Host | None) -> dict[str, str]:
    """The secrets that the rubric names, as far as the inventory has them: the VM's own, else the staff's.

    Raises :class:`InventoryError` for a value that is no text.
    """
    found: dict[str, str] = {}
    for question in rubric.questions:
        name = question.answer.secret if question.answer else ""
        holder = next((one for one in (host, staff) if name and one and one.value(name) is not None), None)
        if holder is None:
            continue
        value = holder.value(name)
        if not isinstance(value, str | int) or not str(value).strip():
            raise InventoryError(f"{holder.name}: {name} must be text")
        found[name] = str(value)
    return found


def add_answers(evidence: Evidence, answers: Answers, rubric: Rubric, secrets: Mapping[str, str]) -> None:
    """Put the answers of one student into the evidence. ``secrets`` are the staff's values by name."""
    for question in rubric.questions:
        if question.answer is None:
            continue
        text = answers.texts.get(question.id, "")
        evidence.add(written(question.id), Observed(Written(text)))
        secret = secrets.get(question.answer.secret)
        if secret:
            evidence.add(compared(question.id), Observed(compare(text, secret)))


def compare(text: str, secret: str) -> Compared:
    """The secret may stand in a sentence ("the secret word is ...") or on a line of its own, not in a list of
    guesses.
    """
    text, secret = words_of(text), secret.strip()
    said, wanted = (_WORD.findall(one.casefold()) for one in (text, secret))
    last = len(said) - len(wanted)
    found = bool(wanted) and any(said[at : at + len(wanted)] == wanted for at in range(last + 1))
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    printed = secret in lines and len(lines) <= _MAX_LINES
    return Compared(printed or (found and len(said) <= _MAX_WORDS + len(wanted)), len(said))
