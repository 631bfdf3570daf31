"""Words that turn a right answer round, or leave open which of several is meant. What they stand beside may
be meant either way: it keeps its points, and staff read it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

# "no-cache" is a header's word
_NEGATED = re.compile(
    r"\b(?:not|no|never|neither|nor|none|nothing|nobody|cannot|hardly|anything but|instead of"
    r"|rather than|unlike)\b(?!-)|n't\b"
    r"|\b(?:is|was|are|were|do|does|did|has|have|had|ca|could|wo|would|should)nt\b",
    re.IGNORECASE,
)
#: Letters before something in which a word may deny it, and where another clause begins.
_BEFORE = 40
_CLAUSE = re.compile(r"[.,;:!?()\n]|(?<!anything )\bbut\b", re.IGNORECASE)
_OPEN = re.compile(r"\b(?:or|either|one of (?:them|these|those))\b", re.IGNORECASE)


def negated(text: str) -> bool:
    """Whether something is denied in ``text``."""
    return bool(_NEGATED.search(text))


def denied(text: str, starts: Iterable[int]) -> bool:
    """Whether at each of these places what stands there is denied before, in the same clause."""
    return all(negated(_CLAUSE.split(text[max(0, at - _BEFORE) : at])[-1]) for at in starts)


def offered(text: str) -> bool:
    """Whether one of several things is offered in ``text``."""
    return bool(_OPEN.search(text))


def doubtful(text: str) -> bool:
    """Whether something is denied in ``text``, or one of several things offered."""
    return negated(text) or offered(text)
