"""Making text from elsewhere safe to show.

A VM's output may hold terminal escapes, bidirectional controls or markup. Everything that came from
one passes through here on its way to a terminal.
"""

from __future__ import annotations

import unicodedata

# Cc: control characters; Cf: format characters, bidi overrides among them; Cs: lone surrogates;
# Zl, Zp: separators that some terminals break lines at.
_UNSAFE = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}


def plain(text: str, *, limit: int = 0, multiline: bool = True) -> str:
    """``text`` with every control and format character shown as an escape.

    Newlines stay when ``multiline``, tabs become spaces. ``limit`` cuts long text and says so.
    """
    out = []
    for letter in text:
        if letter == "\n" and multiline:
            out.append(letter)
        elif letter == "\t":
            out.append("    ")
        elif unicodedata.category(letter) in _UNSAFE:
            out.append(letter.encode("unicode_escape").decode("ascii"))
        else:
            out.append(letter)
    shown = "".join(out)
    if limit and len(shown) > limit:
        return f"{shown[:limit]}… ({len(shown) - limit} more characters)"
    return shown
