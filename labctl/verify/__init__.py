"""Proving a lab: its checks against VMs with one known fault each, and against honest work done otherwise.

A lab's ``mutants`` directory says in YAML what its faults are, how each is made, and which checks it must
fail. :func:`verify` makes them on VMs of this machine, grades each VM, and compares.
"""

from labctl.verify.compare import Comparison, Expectation, compare, expected_verdicts, uncovered
from labctl.verify.machines import Setup
from labctl.verify.matrix import Case, Loss, Matrix, load_matrix
from labctl.verify.run import Progress, Report, verify

__all__ = [
    "Case", "Comparison", "Expectation", "Loss", "Matrix", "Progress", "Report", "Setup", "compare",
    "expected_verdicts", "load_matrix", "uncovered", "verify",
]  # fmt: skip
