"""Making text from elsewhere safe to show.

A VM's output may hold terminal escapes, bidirectional controls or markup. Everything that came from
one passes through here on its way to a terminal.
"""

from __future__ import annotations

import unicodedata

# Cc: control characters; Cf: format characters, bidi overrides among them; Cs: lone surrogates;
# Cn: not assigned, among them two that XML and YAML forbid; Zl, Zp: separators that some terminals break
# lines at.
_UNSAFE = {"Cc", "Cf", "Cn", "Cs", "Co", "Zl", "Zp"}
#: Part of how names are written in Persian and in other languages. Of no word of a VM's.
JOINERS = "\u200c\u200d"


def plain(text: str, *, limit: int = 0, multiline: bool = True, keep: str = "") -> str:
    """``text`` with every control and format character shown as an escape.

    Newlines stay when ``multiline``, tabs become spaces. ``limit`` cuts long text and says so.
    Letters of ``keep`` are shown as they are.
    """
    # nobody sees the rest, and to escape a megabyte of it takes a second
    cut = max(0, len(text) - limit) if limit else 0
    text = text[:limit] if cut else text
    if text.isprintable():
        shown = text
    elif multiline:
        shown = "\n".join(_escaped(line, keep) for line in text.split("\n"))
    else:
        shown = _escaped(text, keep)
    if cut or (limit and len(shown) > limit):
        return f"{shown[:limit]}… ({len(shown) + cut - limit} more characters)"
    return shown


def points(score: float) -> str:
    """Points for a program to read: all digits, however many there are."""
    return f"{score:.2f}".rstrip("0").rstrip(".")


def _escaped(line: str, keep: str) -> str:
    # nearly every line is printable as it is, and a class's page has tens of thousands of them
    return line if line.isprintable() else "".join(one if one in keep else _shown(one) for one in line)


def _shown(letter: str) -> str:
    if letter == "\t":
        return "    "
    if unicodedata.category(letter) in _UNSAFE:
        return letter.encode("unicode_escape").decode("ascii")
    return letter
