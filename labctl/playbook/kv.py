"""Arguments written as ``key=value`` text, the short form of a task's parameters.

Splitting honours quotes and never cuts inside ``{{ }}``, ``{% %}`` or ``{# #}``.
"""

from __future__ import annotations

from collections.abc import Iterable

_OPEN = {"{{": "}}", "{%": "%}", "{#": "#}"}


class BadSplit(ValueError):
    """Text that cannot be split: an unbalanced quote or template."""


def split_words(text: str) -> list[str]:
    """Words of ``text``, quotes and templates kept as written. ``"".join`` of them loses only blanks."""
    words: list[str] = []
    word = ""
    quote = ""
    closing = ""
    index = 0
    while index < len(text):
        pair = text[index : index + 2]
        char = text[index]
        if closing:
            if pair == closing:
                word, index, closing = word + pair, index + 2, ""
                continue
        elif pair in _OPEN:
            word, index, closing = word + pair, index + 2, _OPEN[pair]
            continue
        elif quote:
            if char == "\\" and quote == '"' and index + 1 < len(text):
                word, index = word + pair, index + 2
                continue
            if char == quote:
                quote = ""
        elif char in "'\"":
            quote = char
        elif char == "\\" and index + 1 < len(text):
            word, index = word + pair, index + 2
            continue
        elif char.isspace():
            if word:
                words.append(word)
                word = ""
            index += 1
            continue
        word += char
        index += 1
    if quote:
        raise BadSplit(f"a {quote} is opened and never closed")
    if closing:
        raise BadSplit(f"a template is opened and never closed with {closing}")
    if word:
        words.append(word)
    return words


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
