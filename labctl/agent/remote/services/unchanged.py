"""Whether what a process was started from is still what it was: else starting it again starts something
else, or nothing.
"""

from __future__ import annotations

import os
import re
import time

from .streams import DELETED

#: Programs whose first argument is the file that they run; words for their standard input; and those of
#: their options that take a value.
INTERPRETER = re.compile(r"(python|pypy|ruby|perl|node|bash|dash|sh)[0-9.]*\Z")
STDIN = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
VALUED = ("-W", "-X", "-r", "--require")
#: Seconds after a start within which a file counts as written before it: times of files are not exact.
MARGIN = 2.0


def differs(pid: int, started: int, exe: str, argv: list[str], cwd: str) -> str:
    """What of a process's directory and script is not as when it began, in words; "" when all is."""
    try:
        here, there = os.stat("/proc/%d/cwd" % pid), os.stat(cwd)
    except OSError:
        return "its directory %s is gone" % cwd.replace(DELETED, "")
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        return "its directory %s is another one now" % cwd
    script = script_of(exe, argv)
    if not script:
        return ""
    path = os.path.join(cwd, script)
    if not os.path.exists(path):
        return "%s is gone" % path
    return "%s was changed since" % path if written_after(path, started) else ""


def script_of(exe: str, argv: list[str]) -> str:
    """The file that an interpreter runs; "" for another program, and where no file can be told."""
    word = program_word(exe, argv)
    return word if "." in word or "/" in word else ""


def from_stdin(exe: str, argv: list[str]) -> bool:
    """It is an interpreter that reads its program from its standard input."""
    return program_word(exe, argv) == "-"


def program_word(exe: str, argv: list[str]) -> str:
    """The word that names an interpreter's program: a file, "-" for the standard input, "" for a word of its
    command line or a module, and for what is no interpreter.
    """
    found = INTERPRETER.match(os.path.basename(exe))
    if not found:
        return ""
    words = iter(argv[1:])
    for word in words:
        if word in VALUED:
            next(words, None)
        elif word in STDIN or (word == "-s" and found.group(1).endswith("sh")):
            return "-"
        elif word in ("-c", "-m", "-e") or (word.startswith("-") and word[-1] in "cm" and word[1] != "-"):
            return ""
        elif not word.startswith("-"):
            return word
    return "-"


def written_after(path: str, started: int) -> bool:
    """The file was written after a process began, ``started`` clock ticks after the boot."""
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - started / os.sysconf("SC_CLK_TCK")
    now = time.time()
    try:
        # a time to come was made by a clock that was wrong
        return now - age + MARGIN < os.stat(path).st_mtime <= now
    except OSError:
        return False
