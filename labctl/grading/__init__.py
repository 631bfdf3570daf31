"""Labs, checks, evidence, verdicts. What a lab's graders need is all here and in ``labctl.probes``."""

from labctl.grading.check import Check, check, only_from_elsewhere, only_with_staff
from labctl.grading.class_run import Book, Observer, grade_hosts
from labctl.grading.compare import compare, differences
from labctl.grading.document import (
    host_document,
    lab_document,
    lost_document,
    rubric_document,
    run_document,
    time_text,
)
from labctl.grading.evidence import Evidence, See
from labctl.grading.grade import NOT_ASKED, VM_DEADLINE, Graded, Plan, answered_again, grade_host, plan_for
from labctl.grading.judge import Result, judge
from labctl.grading.lab import Lab, list_labs, load_lab, staff_checks
from labctl.grading.layers import LAYERS, Broken, Layer, first_broken
from labctl.grading.regrade import LaterEvidence, regrade
from labctl.grading.rubric import (
    ANSWER,
    Answer,
    Idea,
    Question,
    Rubric,
    Weight,
    for_students,
    load_rubric,
)
from labctl.grading.settling import Clock, Settled
from labctl.grading.target import Target, handed_over, target_of
from labctl.grading.verdict import Judgement, Verdict, failed, passed, unjudged

__all__ = [
    "ANSWER", "LAYERS", "NOT_ASKED", "VM_DEADLINE", "Answer", "Book", "Broken", "Check", "Clock", "Evidence",
    "Graded", "Idea", "Judgement", "Lab", "LaterEvidence", "Layer", "Observer", "Plan", "Question",
    "Result", "Rubric", "See", "Settled", "Target", "Verdict", "Weight", "answered_again", "check", "compare",
    "differences", "failed", "first_broken", "for_students", "grade_host", "grade_hosts", "handed_over",
    "host_document", "judge", "lab_document", "list_labs", "load_lab",
    "load_rubric", "lost_document", "only_from_elsewhere", "only_with_staff", "passed", "plan_for", "regrade",
    "rubric_document", "run_document", "staff_checks", "target_of", "time_text", "unjudged",
]  # fmt: skip
