"""Written answers: read from a file, parsed, and judged by checks beside those of the VM.

This is the second face of ``labctl.grading`` for a lab's graders.
"""

from labctl.grading.answers.asking import ASKING, Query, read_queries
from labctl.grading.answers.ideas import Found, find_ideas
from labctl.grading.answers.mounting import (
    MountCommand,
    UmountCommand,
    directory_name,
    nfs_source,
    read_mount,
    read_umount,
)
from labctl.grading.answers.question import answer, in_own_words
from labctl.grading.answers.quoted import DfLine, addresses_in, read_df, says_read_only
from labctl.grading.answers.reading import Answers, AnswersError, find_answers, read_answers
from labctl.grading.answers.shell import Command, NoCommand, Unreadable, read_commands
from labctl.grading.answers.units import SystemctlCommand, read_systemctl
from labctl.grading.answers.written import (
    Compared,
    Written,
    add_answers,
    compare,
    compared,
    secrets_for,
    written,
)

__all__ = [
    "ASKING", "Answers", "AnswersError", "Command", "Compared", "DfLine", "Found", "MountCommand",
    "NoCommand", "Query", "SystemctlCommand", "UmountCommand", "Unreadable", "Written", "add_answers",
    "addresses_in", "answer", "compare", "compared", "directory_name", "find_answers", "find_ideas",
    "in_own_words", "nfs_source", "read_answers", "read_commands", "read_df", "read_mount", "read_queries",
    "read_systemctl", "read_umount", "says_read_only", "secrets_for", "written",
]  # fmt: skip
