"""Written answers: read from a file, parsed, and judged by checks beside those of the VM.

This is the second face of ``labctl.grading`` for a lab's graders.
"""

from labctl.grading.answers.asking import ASKING, Query, read_queries
from labctl.grading.answers.doubt import denied, doubtful, negated, offered
from labctl.grading.answers.ideas import Found, find_ideas
from labctl.grading.answers.mounting import (
    MountCommand,
    UmountCommand,
    directory_name,
    nfs_source,
    read_mount,
    read_umount,
)
from labctl.grading.answers.pasted import commands_of, lines_of, records_of, without_marks, words_of
from labctl.grading.answers.question import answer, in_own_words
from labctl.grading.answers.quoted import DfLine, addresses_in, read_df, says_read_only
from labctl.grading.answers.reading import Answers, AnswersError, find_answers, read_answers
from labctl.grading.answers.shell import Command, Unreadable, read_commands
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
    "Query", "SystemctlCommand", "UmountCommand", "Unreadable", "Written", "add_answers",
    "addresses_in", "answer", "commands_of", "compare", "compared", "denied", "directory_name",
    "doubtful", "find_answers", "find_ideas", "in_own_words", "lines_of", "negated", "nfs_source",
    "offered", "read_answers", "read_commands", "read_df", "read_mount", "read_queries",
    "read_systemctl", "read_umount", "records_of", "says_read_only", "secrets_for", "without_marks",
    "words_of", "written",
]  # fmt: skip
