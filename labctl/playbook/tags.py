"""Which tasks ``--tags`` and ``--skip-tags`` choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Tags:
    """``only`` empty means all. ``always`` and ``never`` on a task are Ansible's."""

    only: frozenset[str] = frozenset()
    skip: frozenset[str] = frozenset()

    @classmethod
    def of(cls, only: Iterable[str], skip: Iterable[str]) -> Tags:
        """From options that may hold several tags with commas."""
        return cls(_split(only), _split(skip))

    def selects(self, tags: frozenset[str]) -> bool:
        """Whether a task with ``tags`` runs."""
        only = self.only or frozenset({"all"})
        wanted = bool(only & tags)
        if not wanted and "always" in tags:
            wanted = True
        if not wanted and "never" not in tags:
            wanted = "all" in only or ("tagged" in only and bool(tags)) or ("untagged" in only and not tags)
        return wanted and not self._skips(tags)

    def _skips(self, tags: frozenset[str]) -> bool:
        if self.skip & tags:
            return True
        if "all" in self.skip and "always" not in tags:
            return True
        return ("tagged" in self.skip and bool(tags)) or ("untagged" in self.skip and not tags)


def _split(given: Iterable[str]) -> frozenset[str]:
    return frozenset(part.strip() for one in given for part in one.split(",") if part.strip())
