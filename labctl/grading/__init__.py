"""Labs, checks, evidence, verdicts. What a lab's graders need is all here and in ``labctl.probes``."""

from labctl.grading.check import Check, check, only_from_elsewhere, only_with_staff
from labctl.grading.document import host_document, run_document
from labctl.grading.evidence import Evidence, See
from labctl.grading.grade import VM_DEADLINE, Graded, Plan, grade_host, plan_for
from labctl.grading.judge import Result, judge
from labctl.grading.lab import Lab, list_labs, load_lab
from labctl.grading.target import Target, target_of
from labctl.grading.verdict import Judgement, Verdict, failed, passed, unjudged

__all__ = [
    "VM_DEADLINE", "Check", "Evidence", "Graded", "Judgement", "Lab", "Plan", "Result", "See", "Target",
    "Verdict", "check", "failed", "grade_host", "host_document", "judge", "list_labs", "load_lab",
    "only_from_elsewhere", "only_with_staff", "passed", "plan_for", "run_document", "target_of",
    "unjudged",
]  # fmt: skip
