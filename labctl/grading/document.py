"""The JSON document of a run: what ``grade --json`` prints, and what every other report is made from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from labctl.errors import HostError
from labctl.grading.grade import Graded
from labctl.grading.judge import Result
from labctl.grading.lab import Lab
from labctl.grading.layers import first_broken
from labctl.grading.rubric import Answer
from labctl.grading.statistics import duplicates
from labctl.grading.verdict import Verdict

SCHEMA = 1
_TIME = "%Y-%m-%dT%H:%M:%SZ"
#: What a VM wrote is quoted up to so many characters in a verdict; the whole is in the evidence.
QUOTE = 600


def lab_document(lab: Lab) -> dict[str, Any]:
    """What every document says of its lab: ``lab``, ``title`` and ``sections``."""
    return {"lab": lab.name, "title": lab.title, "sections": lab.sections}


def rubric_document(lab: Lab) -> dict[str, Any]:
    """What a lab asks and what it gives for it. ``max_score`` is for what a VM shows; answers that are
    written down are worth ``max_answers`` more.
    """
    answers = [one.answer for one in lab.rubric.questions if one.answer]
    names = lab.rubric.names
    return {
        "schema": SCHEMA,
        **lab_document(lab),
        "max_score": sum(one.points for one in lab.checks if not one.is_answer),
        "max_answers": sum(one.points for one in answers),
        "intro": lab.rubric.intro,
        "names": {key: {"means": one.means, "variable": one.variable} for key, one in names.items()},
        "questions": [
            {"id": one.id, "section": one.section, "do": one.do, "answer": _asked(one.answer)}
            for one in lab.rubric.questions
        ],
        "checks": [
            {
                "id": one.id,
                "section": lab.section_of(one),
                "question": one.question,
                "layer": one.layer,
                "max_score": one.points,
                "parts": dict(one.parts),
                "title": one.title,
                "after": list(one.after),
                "explained_by": list(one.explained_by),
                "disruptive": one.disruptive,
                "optional": one.optional,
            }
            for one in lab.checks
            if not one.is_answer
        ],
    }


def run_document(run: str, lab: Lab, started: str, hosts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The document for a whole run, made of its VMs' documents."""
    return {
        "schema": SCHEMA,
        "run": run,
        **lab_document(lab),
        "started": started,
        "finished": time_text(datetime.now(timezone.utc)),
        "duplicates": duplicates(hosts),
        "hosts": list(hosts),
    }


def _asked(answer: Answer | None) -> dict[str, Any] | None:
    """What is asked, and which ideas give points; not how they are found."""
    if answer is None:
        return None
    ideas = [{"name": one.name, "points": one.points} for one in answer.ideas]
    return {**asdict(answer), "ideas": ideas}


def host_document(name: str, lab: Lab, graded: Graded) -> dict[str, Any]:
    """One VM. ``first_broken`` has the lowest broken layer of each section in which a check failed, and that
    check. ``score`` is null when some check could not be judged: what is known so far is in
    ``score_so_far``.
    """
    problem = _problem(graded)
    checks = [_check(lab, one, graded) for one in graded.results]
    broken = {key: first_broken(checks, key) for key in lab.sections}
    return {
        "host": name,
        "status": "graded" if graded.complete else "error",
        "error": f"{problem.cause}: {problem.message}" if problem else None,
        "error_cause": problem.cause if problem else None,
        "error_hint": problem.hint if problem else "",
        "score": graded.score if graded.complete else None,
        "score_so_far": graded.score,
        "max_score": graded.max_score,
        "started": time_text(graded.started),
        "seconds": graded.seconds,
        "restored": graded.restored,
        "tries": list(graded.tries),
        "connections": graded.connections,
        "round_trips": graded.round_trips,
        "left_out": [{"id": key, "reason": reason} for key, reason in graded.left_out],
        "checks": checks,
        "first_broken": {key: asdict(one) for key, one in broken.items() if one},
        "identity": dict(graded.identity),
        "target": graded.target.to_json(),
        "evidence": graded.evidence.to_json(),
    }


def _problem(graded: Graded) -> HostError | None:
    """Why a VM's grade is not complete."""
    if graded.complete:
        return None
    if graded.problem is not None:
        return graded.problem
    lost = [one.check.id for one in graded.results if one.verdict is Verdict.ERROR]
    return Unjudged(f"{len(lost)} of {len(graded.results)} checks could not be judged: {', '.join(lost[:5])}")


class Unjudged(HostError):
    """Some checks of a VM came to ERROR."""

    cause = "unjudged"


def _check(lab: Lab, result: Result, graded: Graded) -> dict[str, Any]:
    judgement = result.judgement
    error = judgement.verdict is Verdict.ERROR
    took = [graded.evidence.observed[r.key].seconds for r in result.used if r.key in graded.evidence.observed]
    return {
        "id": result.check.id,
        "section": lab.section_of(result.check),
        "question": result.check.question,
        "layer": result.check.layer,
        "title": result.check.title,
        "verdict": judgement.verdict.value,
        "score": None if error else result.score,
        "max_score": result.check.points,
        "expected": judgement.expected[:QUOTE],
        "seen": judgement.seen[:QUOTE],
        "hint": judgement.hint[:QUOTE],
        "answer": judgement.answer[:QUOTE],
        "for_staff": judgement.for_staff,
        "blocked_by": result.blocked_by or None,
        "vantage": _vantage(result),
        "seconds": round(max(took, default=0.0), 3),
        "evidence": [one.id for one in result.used],
    }


def _vantage(result: Result) -> str:
    """From where a check looked: "outside" when any of it was seen from there; "answers" for words alone."""
    seen = {one.vantage for one in result.used}
    if "outside" in seen:
        return "outside"
    return "answers" if seen == {"answers"} else "vm"


def lost_document(name: str, err: HostError) -> dict[str, Any]:
    """One VM that could not be graded at all."""
    return {
        "host": name,
        "status": "error",
        "error": f"{err.cause}: {err.message}",
        "error_cause": err.cause,
        "error_hint": err.hint,
        "score": None,
        "score_so_far": None,
        "max_score": None,
        "seconds": None,
        "restored": None,
        "tries": list(err.tries),
        "connections": 0,
        "round_trips": 0,
        "left_out": [],
        "checks": [],
    }


def time_text(moment: datetime) -> str:
    """How documents write a time: UTC, ISO 8601, whole seconds."""
    return moment.astimezone(timezone.utc).strftime(_TIME)


def time_of(text: str) -> datetime:
    """What :func:`time_text` wrote. Raises ``ValueError`` for anything else."""
    return datetime.strptime(text, _TIME).replace(tzinfo=timezone.utc)
