"""Which lines of HAProxy's configuration are left out by ``.if`` and the like (its manual, 2.4)."""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from labctl.probes.haproxy_rules import Truth, any_of, not_so

#: So deep HAProxy goes.
_DEEPEST = 16
_DEFINED = re.compile(r"defined\(\s*(\w{1,256})\s*\)")
_NUMBER = re.compile(r"-?[0-9]{1,9}")


class Branches:
    """Where a reader is among them. Of a condition that is not known here both branches are read."""

    def __init__(self) -> None:
        # of each that is open: whether one of its branches was taken, and whether this one is
        self._open: list[tuple[Truth, Truth]] = []

    def reads(self, words: Sequence[str], defined: Container[str]) -> bool:
        """Whether a line counts; the words that open and end a branch do not. ``defined``: the variables that
        the lines before it set.
        """
        word = words[0]
        if word == ".if" and len(self._open) < _DEEPEST:
            so = _is_so(words[1:], defined)
            self._open.append((so, so))
        elif word == ".elif" and self._open:
            before, _ = self._open.pop()
            so = _is_so(words[1:], defined)
            self._open.append((any_of([before, so]), not_so(any_of([before, not_so(so)]))))
        elif word == ".else" and self._open:
            before, _ = self._open.pop()
            self._open.append((True, not_so(before)))
        elif word == ".endif" and self._open:
            self._open.pop()
        return not word.startswith(".") and all(taken is not False for _, taken in self._open)


def _is_so(words: Sequence[str], defined: Container[str]) -> Truth:
    """A condition; "&&" before "||". None where it has brackets, or depends on HAProxy's own build."""
    ways = [way.split("&&") for way in " ".join(words).split("||")]
    return any_of([not_so(any_of([not_so(_term(term.strip(), defined)) for term in way])) for way in ways])


def _term(term: str, defined: Container[str]) -> Truth:
    if term.startswith("!"):
        return not_so(_plain(term[1:].strip(), defined))
    return _plain(term, defined)


def _plain(term: str, defined: Container[str]) -> Truth:
    variable = _DEFINED.fullmatch(term)
    if variable:
        # others may come from its unit
        return True if variable[1] in defined else None
    if not term:
        return False
    return int(term) != 0 if _NUMBER.fullmatch(term) else None
