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

_MAX_DEPTH = 3

#: ``alice@vm:~$ ``, ``(venv) [root@vm ~]# ``, ``vm:~$ ``, ``alice$ ``, ``[12:03:11] $ ``, ``└─$ ``
_PROMPT = re.compile(
    r"^\s*(?:\(\w+\)\s*)?(?:\[\d\d?:\d\d(?::\d\d)?\]\s*)?(?:"
    r"\[?[\w.-]{1,64}@[\w.-]{1,64}[^$#>%]{0,200}[$#>%]\s*"
    r"|[\w.-]{0,64}:?[~/][\w./~-]{0,200}\s?[$#%]\s+"
    r"|[\w.-]{1,64}[$%]\s+"
    r"|[└╰]─*[$#]\s*|[$>%❯➜]\s*)"
)
_CONTINUED = re.compile(r"\\[ \t]*\n")
#: What somebody saw, behind the command.
_SAW = re.compile(r"\s\((?:no|without|nothing)\b[^()]*\)\s*$", re.IGNORECASE)
#: ``Command:``, ``The command that I used:``
_LABEL = re.compile(r"^(?:[A-Za-z][\w']*\s+){0,5}[A-Za-z][\w']*:\s+(?=\S)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset(";&|<>")
#: Programs that run the command that follows: which of their short options take a value, and with which they
#: run nothing.
_RUNNERS = {
    "sudo": ("ughpCrtTUDR", "levKV"),
    "doas": ("uC", "L"),
    "env": ("uCS", ""),
    "command": ("", "vV"),
    "exec": ("a", ""),
    "time": ("fo", "V"),
    "do": ("", ""),
    "then": ("", ""),
}
#: Long options of theirs, as the short ones that mean the same.
_LONG = {
    "user": "u", "group": "g", "host": "h", "prompt": "p", "chdir": "D", "other-user": "U", "list": "l",
    "edit": "e", "validate": "v", "remove-timestamp": "K", "version": "V",
}  # fmt: skip
_BECOMING = frozenset({"sudo", "doas"})
_ROOT = frozenset({"", "root", "#0"})
_SHELLS = frozenset({"sh", "bash", "dash", "zsh", "su"})


class Unreadable(ValueError):
    """No command of the kind asked for was understood; the message says why, for whoever wrote it.

    There may be a right one among other words, or in a form that nobody thought of: staff read it.
    """


@dataclass(frozen=True)
class Command:
    """A program's name without its directory, and its arguments. ``user``: as whom sudo runs it, "" for root
    or without sudo.
    """

    name: str
    args: tuple[str, ...]
    user: str = ""

    def __str__(self) -> str:
        return shlex.join([self.name, *self.args])


def read_commands(text: str) -> tuple[Command, ...]:
    """The commands in ``text``, in order. Raises :class:`Unreadable`.

    A line that begins with ``#`` is a comment beside other lines, and a root prompt when there is nothing
    else; one that begins with ``;`` is what dig printed.
    """
    return tuple(_read(commands_of(text), 0))


def _read(text: str, depth: int) -> list[Command]:
    lines = [line for line in _CONTINUED.sub(" ", text).split("\n") if not line.lstrip().startswith(";")]
    lines = [_SAW.sub("", line) for line in lines]
    bare = [_LABEL.sub("", _PROMPT.sub("", line, count=1).strip(), count=1) for line in lines]
    if all(line.startswith("#") for line in bare if line):
        bare = [line.lstrip("# ") for line in bare]
    found: list[Command] = []
    wrong: list[Unreadable] = []
    for line in filter(None, bare):
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
    user = ""
    while rest:
        name = rest[0].rpartition("/")[2]
        name = name.lower() if name.istitle() else name  # as at the beginning of a sentence
        if _ASSIGNMENT.match(rest[0]):
            rest = rest[1:]
        elif name in _RUNNERS:
            rest, whom = _after_options(name, rest[1:])
            user = whom if name in _BECOMING else user
        elif name in _SHELLS and "-c" in rest[:-1] and depth < _MAX_DEPTH:
            return _read(rest[rest.index("-c") + 1], depth + 1)
        else:
            return [Command(name, tuple(rest[1:]), "" if user in _ROOT else user)]
    return []


def _after_options(name: str, words: list[str]) -> tuple[list[str], str]:
    """What is left after the options, and the value of ``-u``; the last letter of a group may take a value
    (``-nu root``). Raises :class:`Unreadable` when nothing is run.
    """
    valued, idle = _RUNNERS[name]
    user = ""
    at = 0
    while at < len(words) and words[at].startswith("-"):
        word = words[at]
        at += 1
        if word == "--":
            break
        long, _, value = word[2:].partition("=") if word.startswith("--") else ("", "", "")
        letters = _LONG.get(long, "") if long else word[1:]
        takes = next((one for one in letters if one in valued), "")
        if takes:
            letters, _, rest = letters.partition(takes)
            value = value or rest
            if not value:
                value = words[at] if at < len(words) else ""
                at += 1
        if set(letters) & set(idle):
            raise Unreadable(f"with {word} {name} runs nothing")
        user = value if takes == "u" else user
    return words[at:], user


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
