"""Answers in a student's own words: which of the rubric's ideas they show."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.grading.rubric import Answer, Idea


@dataclass(frozen=True)
class Found:
    """``share`` of the question's points, 0 to 1; the ideas that are in the answer and those that are not."""

    share: float
    shown: tuple[Idea, ...]
    missing: tuple[Idea, ...]


def find_ideas(text: str, answer: Answer) -> Found:
    """The ideas of ``answer`` in ``text``. The expressions are the rubric's, the text only what they search.

    An idea that the text shows and takes back (``unless``) is not shown.
    """
    plain = " ".join(text.split())
    shown = tuple(idea for idea in answer.ideas if _says(plain, idea))
    points = sum(idea.points for idea in shown)
    missing = tuple(idea for idea in answer.ideas if idea not in shown)
    return Found(min(1.0, points / answer.points), shown, missing)


def _says(text: str, idea: Idea) -> bool:
    if any(re.search(one, text, re.IGNORECASE) for one in idea.unless):
        return False
    return any(re.search(one, text, re.IGNORECASE) for one in idea.any)
