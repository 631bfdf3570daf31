"""Rubrics for checks that tests make up."""

from __future__ import annotations

from collections.abc import Mapping

from labctl.grading import Check, Lab, Question, Rubric, Weight


def rubric_for(checks: Mapping[str, float], questions: Mapping[str, str]) -> Rubric:
    """Points by check, sections by question."""
    return Rubric(
        title="Test",
        sections={key: key.upper() for key in questions.values()},
        questions=tuple(Question(id=id, section=section) for id, section in questions.items()),
        checks={id: Weight(points=points) for id, points in checks.items()},
    )


def lab_of(*checks: Check, points: float = 2) -> Lab:
    """A lab of one section, ``a``, in which every check is worth the same."""
    rubric = rubric_for({one.id: points for one in checks}, {one.question: "a" for one in checks})
    return Lab.of("test", rubric, checks)
