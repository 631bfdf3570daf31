"""Answers in a student's own words: which of the rubric's ideas they show."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.grading.answers.doubt import denied
from labctl.grading.rubric import Answer, Idea

#: Fewer words are a list of them and no sentence.
_SENTENCE = 5


@dataclass(frozen=True)
class Found:
    """``share`` of the question's points, 0 to 1; the ideas that are in the answer and those that are not.

    ``doubtful``: what shows an idea stands after a word that denies it, or is no sentence.
    """

    share: float
    shown: tuple[Idea, ...]
    missing: tuple[Idea, ...]
    doubtful: bool = False


def find_ideas(text: str, answer: Answer) -> Found:
    """The ideas of ``answer`` in ``text``. The expressions are the rubric's, the text only what they search.

    An idea that the text shows and takes back (``unless``) is not shown.
    """
    plain = " ".join(text.split())
    shown = tuple(idea for idea in answer.ideas if _says(plain, idea))
    points = sum(idea.points for idea in shown)
    missing = tuple(idea for idea in answer.ideas if idea not in shown)
    doubtful = len(plain.split()) < _SENTENCE or any(_denied(plain, idea) for idea in shown)
    return Found(min(1.0, points / answer.points), shown, missing, doubtful)


def _denied(text: str, idea: Idea) -> bool:
    """Whether every place that shows the idea is behind a word that denies it."""
    return denied(text, (at.start() for one in idea.any for at in re.finditer(one, text, re.IGNORECASE)))


def _says(text: str, idea: Idea) -> bool:
    if any(re.search(one, text, re.IGNORECASE) for one in idea.unless):
        return False
    return any(re.search(one, text, re.IGNORECASE) for one in idea.any)
