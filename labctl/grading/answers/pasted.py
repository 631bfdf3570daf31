"""What comes along when somebody copies a thing into an answer: a word processor's quotes, dashes and spaces,
Markdown, bullets. What is left is what they meant to write; nothing of it is judged here.
"""

from __future__ import annotations

import re

_LETTERS = str.maketrans(
    {
        **dict.fromkeys("“”„‟", '"'),
        **dict.fromkeys("‘’‚‛", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-"),
        "\u2014": "--",
        **dict.fromkeys("\u00a0\u2007\u2009\u202f", " "),
        **dict.fromkeys("\u200b\u200c\u200d\u2060\ufeff", ""),
    }
)
# in a zone file "* IN A ..." is a name, and no item of a list
_WILDCARD = r"\*\s+(?i:(?:\d[\dsmhdw]*\s+)?(?:IN\s+)?(?:A\s+\d|(?:AAAA|CNAME|TXT|MX|SRV|NS|CAA)\b))"
_BULLET = re.compile(
    rf"\s*(?!{_WILDCARD})(?:[-+>•◦‣▪*]|\d{{1,2}}[a-f]?[.)]|\d{{1,2}}[a-f]:|\(\d{{0,2}}[a-f]\)|[a-f]\))\s+(?=\S)"
)
_AROUND = ("**", "__", '"', "'", "*", "_")
_LANGUAGE = re.compile(r"\w{0,12}\s*\n")


def words_of(text: str) -> str:
    """All that is said, without the marks around it."""
    return _tidied("\n".join(_pieces(text))).replace("`", "")


def lines_of(text: str) -> str:
    """The lines that were copied: what stands in fences (three backquotes) where there are some, else all."""
    return _tidied(_fenced(text)).replace("`", "")


def records_of(text: str) -> str:
    """As :func:`lines_of`; within parentheses a line in quotes is part of a record, and stays as it is."""
    lines: list[str] = []
    depth = 0
    for line in _fenced(text).translate(_LETTERS).replace("`", "").split("\n"):
        lines.append(line if depth else _line(line))
        bare = re.sub(r'"[^"]*"', "", line)
        depth = max(0, depth + bare.count("(") - bare.count(")"))
    return "\n".join(lines)


def without_marks(text: str) -> str:
    """A text without what a word processor makes of its signs, for comparing with another one."""
    return text.translate(_LETTERS).replace("`", "")


def commands_of(text: str) -> str:
    """As :func:`lines_of`; without fences, what stands between backquotes where there are some."""
    fenced = _fenced(text)
    quoted = fenced.split("`")
    return _tidied("\n".join(quoted[1::2]) if len(quoted) > 2 else fenced)


def _fenced(text: str) -> str:
    inside = "\n".join(_pieces(text)[1::2])
    return inside if inside.strip() else text.replace("```", "")


def _pieces(text: str) -> list[str]:
    """What stands outside and inside of fences, in turn; the language that a fence names is gone."""
    pieces = text.split("```")
    return [
        _LANGUAGE.sub("", one, count=1) if at % 2 and _LANGUAGE.match(one) else one
        for at, one in enumerate(pieces)
    ]


def _tidied(text: str) -> str:
    return "\n".join(_line(line) for line in text.translate(_LETTERS).split("\n"))


def _line(line: str) -> str:
    line = _BULLET.sub("", line, count=1) if _BULLET.match(line) else line
    for mark in _AROUND:
        inner = line.strip()[len(mark) : -len(mark)]
        if inner and line.strip() == f"{mark}{inner}{mark}" and mark not in inner:
            return inner
    return line
