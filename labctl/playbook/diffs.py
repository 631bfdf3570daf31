"""Unified diffs of texts that a VM sent: in a bounded time, whatever they are made of."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence

#: Lines that stand the same in a hunk before and after what differs.
_AROUND = 3
#: Pairs of equal lines that are looked at, some 0.05 s: difflib takes time by the cube of what repeats
#: itself.
MOST_STEPS = 400_000
#: Characters of a side: more than labctl's agent sends, or Ansible.
LONGEST = 128 << 10


class _Matcher(difflib.SequenceMatcher[str]):
    """Beyond the bound nothing is alike any more: the rest is shown as replaced, which is no less true."""

    _left = MOST_STEPS
    # which its type stubs do not know
    a: Sequence[str]
    b2j: dict[str, list[int]]

    def find_longest_match(
        self, alo: int = 0, ahi: int | None = None, blo: int = 0, bhi: int | None = None
    ) -> difflib.Match:
        if self._left > 0:
            pairs = (len(self.b2j.get(line, ())) for line in self.a[alo:ahi])
            self._left -= sum(pairs, (ahi or len(self.a)) - alo)
        if self._left < 0:
            return difflib.Match(alo, blo, 0)
        return super().find_longest_match(alo, ahi, blo, bhi)


def unified_diff(before: str, after: str, names: tuple[str, str]) -> Iterator[str]:
    """The lines of the diff, as ``difflib.unified_diff`` gives them."""
    old, new = (_cut(text).splitlines(keepends=True) for text in (before, after))
    groups = _Matcher(None, old, new).get_grouped_opcodes(_AROUND)
    for number, group in enumerate(groups):
        if not number:
            yield f"--- {names[0]}\n"
            yield f"+++ {names[1]}\n"
        first, last = group[0], group[-1]
        yield f"@@ -{_range(first[1], last[2])} +{_range(first[3], last[4])} @@\n"
        for kind, begin, end, new_begin, new_end in group:
            if kind == "equal":
                yield from _marked(" ", old[begin:end])
            else:
                yield from _marked("-", old[begin:end])
                yield from _marked("+", new[new_begin:new_end])


def _marked(mark: str, lines: Sequence[str]) -> Iterator[str]:
    return (f"{mark}{line}" for line in lines)


def _range(start: int, stop: int) -> str:
    if stop - start == 1:
        return str(start + 1)
    # an empty range begins at the line before it
    return f"{start + (stop > start)},{stop - start}"


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}\n({len(text) - LONGEST} more characters)\n"
