"""Arguments written as ``key=value`` text, the short form of a task's parameters.

Splitting honours quotes and never cuts inside ``{{ }}``, ``{% %}`` or ``{# #}``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# One piece of the text at a time, the longest unit that must stay whole first. Quotes may hold
# templates, with quotes of their own.
_TEMPLATE = r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}"
_PIECE = re.compile(
    rf"""
      (?P<blank>\s+)
    | {_TEMPLATE.replace("#", "[#]")}
    | "(?:{_TEMPLATE.replace("#", "[#]")}|\\.|[^"\\])*"
    | '(?:{_TEMPLATE.replace("#", "[#]")}|[^'])*'
    | (?P<open>\{{\{{|\{{%|\{{[#]|["'])
    | \\.
    | .
    """,
    re.VERBOSE | re.DOTALL,
)


class BadSplit(ValueError):
    """Text that cannot be split: an unbalanced quote or template."""


def split_words(text: str) -> list[str]:
    """Words of ``text``, quotes and templates kept as written; only the blanks between are lost."""
    words: list[str] = []
    word = ""
    for found in _PIECE.finditer(text):
        if found["blank"]:
            words.extend([word] if word else [])
            word = ""
        elif found["open"]:
            raise BadSplit(f"{found['open']} is opened and never closed")
        else:
            word += found[0]
    return [*words, word] if word else words


def unquote(text: str) -> str:
    """``text`` without one pair of quotes around the whole of it."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        inner = text[1:-1]
        return inner.replace('\\"', '"') if text[0] == '"' else inner
    return text


def _key(word: str) -> str | None:
    name, equals, _ = word.partition("=")
    return name if equals and name.replace("-", "_").isidentifier() else None


def parse_pairs(text: str) -> dict[str, str]:
    """``a=1 b="two words"`` as a mapping. Raises :class:`BadSplit` for a word that is no pair."""
    pairs: dict[str, str] = {}
    for word in split_words(text):
        name = _key(word)
        if name is None:
            raise BadSplit(f"{word!r} is not key=value")
        pairs[name] = unquote(word.partition("=")[2])
    return pairs


def parse_free_form(text: str, parameters: Iterable[str]) -> tuple[str, dict[str, str]]:
    """A command line and the ``parameters`` written among its words.

    Returns the command exactly as written when it holds no parameters (a shell script's blanks and
    newlines matter), else the other words joined by one blank.
    """
    known = set(parameters)
    try:
        words = split_words(text)
    except BadSplit:
        # A shell script may hold a lone quote, in a comment or a here-document: it has no parameters then.
        return text, {}
    found = {
        name: unquote(word.partition("=")[2]) for word in words if (name := _key(word)) in known and name
    }
    if not found:
        return text, {}
    return " ".join(word for word in words if _key(word) not in found), found
