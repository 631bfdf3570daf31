"""What acts on a VM to observe it. Everything here is undone, and proves it."""

from labctl.grading.experiments.bench import Bench
from labctl.grading.experiments.crash import crash
from labctl.grading.experiments.write import write

__all__ = ["Bench", "crash", "write"]
