"""A command as somebody wrote it down, read as a shell would read it and never run.

What comes out is what was meant: sudo and its options, assignments, redirections, and prompts that were
copied with the command are gone.
"""

from __future__ import annotations

import getopt
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.grading.answers.pasted import commands_of

#: Commands in one answer; what comes after is not looked at.
MAX_COMMANDS = 60
_MAX_DEPTH = 3

#: ``alice@vm:~$ ``, ``(venv) [root@vm ~]# ``, ``vm:~$ ``, ``$ ``
_PROMPT = re.compile(
    r"^\s*(?:\(\w+\)\s*)?(?:"
    r"\[?[\w.-]{1,64}@[\w.-]{1,64}[^$#>%]{0,200}[$#>%]\s*"
    r"|[\w.-]{0,64}:?[~/][\w./~-]{0,200}\s?[$#%]\s+"
    r"|[$>%❯➜]\s*)"
)
#: ``Command:``, ``The command that I used:``
_LABEL = re.compile(r"^(?:[A-Za-z][\w']*\s+){0,5}[A-Za-z][\w']*:\s+(?=\S)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset(";&|<>")
#: Programs that run the command that follows, and which of their short options take a value.
_RUNNERS = {
    "sudo": "ughpCrtTUDR",
    "doas": "uC",
    "env": "uCS",
    "command": "",
    "exec": "a",
    "time": "fo",
    "do": "",
    "then": "",
}
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "su"})


class Unreadable(ValueError):
    """No command of the kind asked for was understood; the message says why, for whoever wrote it.

    There may be a right one among other words, or in a form that nobody thought of: staff read it.
    """


@dataclass(frozen=True)
class Command:
    """A program's name without its directory, and its arguments."""

    name: str
    args: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join([self.name, *self.args])


def read_commands(text: str) -> tuple[Command, ...]:
    """The commands in ``text``, in order. Raises :class:`Unreadable`.

    A line that begins with ``#`` is a comment beside other lines, and a root prompt when there is nothing
    else.
    """
    return tuple(_read(commands_of(text), 0)[:MAX_COMMANDS])


def _read(text: str, depth: int) -> list[Command]:
    lines = text.replace("\\\n", " ").split("\n")
    bare = [_LABEL.sub("", _PROMPT.sub("", line, count=1).strip(), count=1) for line in lines]
    if all(line.startswith("#") for line in bare if line):
        bare = [line.lstrip("# ") for line in bare]
    found: list[Command] = []
    wrong: list[Unreadable] = []
    for line in bare:
        try:
            for words in _simple_commands(line):
                found.extend(_meant(words, depth))
        except Unreadable as err:
            wrong.append(err)  # a sentence beside a command
    if wrong and not found:
        raise wrong[0]
    return found


def _simple_commands(line: str) -> list[list[str]]:
    """The words of each command of a line, without redirections and comments."""
    try:
        tokens = _tokens(line)
    except ValueError:
        try:
            tokens = _tokens(re.split(r"(?:^|\s)#", line, maxsplit=1)[0])  # an apostrophe in a comment
        except ValueError as err:
            raise Unreadable(f"{_short(line)}: a quotation mark or backslash is left open") from err
    commands: list[list[str]] = [[]]
    skip = False
    for token in tokens:
        if skip:
            skip = False
        elif token.startswith("#"):
            break
        elif token and set(token) <= _OPERATORS:
            if "<" in token or ">" in token:
                skip = True
                if commands[-1] and commands[-1][-1] in ("0", "1", "2"):
                    commands[-1].pop()
            else:
                commands.append([])
        elif token.endswith(","):
            commands[-1].append(token.rstrip(","))
            commands.append([])  # commands in a row, as in a sentence
        else:
            commands[-1].append(token)
    return [words for words in commands if any(words)]


def _tokens(line: str) -> list[str]:
    """Raises ValueError for what a shell would wait to be closed."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=";&|<>")
    lexer.whitespace_split = True
    lexer.commenters = ""
    tokens = list(lexer)
    if tokens and tokens[-1].strip(".:?!") and not tokens[-1].endswith(".."):
        tokens[-1] = tokens[-1].rstrip(".:?!")  # the end of a sentence
    return tokens


def _meant(words: list[str], depth: int) -> list[Command]:
    """The command without what only runs it."""
    rest = list(words)
    while rest:
        name = rest[0].rpartition("/")[2]
        name = name.lower() if name.istitle() else name  # as at the beginning of a sentence
        if _ASSIGNMENT.match(rest[0]):
            rest = rest[1:]
        elif name in _RUNNERS:
            rest = _after_options(rest[1:], _RUNNERS[name])
        elif name in _SHELLS and "-c" in rest[:-1] and depth < _MAX_DEPTH:
            return _read(rest[rest.index("-c") + 1], depth + 1)
        else:
            return [Command(name, tuple(rest[1:]))]
    return []


def _after_options(words: list[str], with_value: str) -> list[str]:
    """What is left after the options; the last letter of a group may take a value (``-nu root``)."""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        at += 1
        if word == "--":
            break
        short = not word.startswith("--")
        if (short and word[-1] in with_value) or word in ("--user", "--group"):
            at += 1
    return words[at:]


def options(
    command: Command, short: str, long: Sequence[str] = ()
) -> tuple[list[tuple[str, str]], list[str]]:
    """The options and the other arguments, in any order, as GNU programs take them (``getopt_long``).

    ``short`` and ``long`` are as in :mod:`getopt`. Raises :class:`Unreadable`.
    """
    try:
        return getopt.gnu_getopt(list(command.args), short, list(long))
    except getopt.GetoptError as err:
        said = err.msg.replace("not recognized", f"is none of {command.name}'s")
        raise Unreadable(f"{_short(str(command))}: {said}") from err


def _short(text: str) -> str:
    return text if len(text) <= 60 else text[:60] + "…"
