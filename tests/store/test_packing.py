"""Documents as they are stored: what is taken can be read, however large."""

from __future__ import annotations

import pytest

from labctl.store import packing
from labctl.store.errors import TooLarge


def test_whatever_is_taken_can_be_read_and_what_is_too_large_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(packing, "_MAX_BYTES", 5000)
    taken = 0
    for length in range(4980, 5010):
        document = {"seen": "x" * length}
        try:
            packed = packing.packed(document)
        except TooLarge:
            continue
        assert packing.unpacked(packed) == document
        taken += 1
    assert 0 < taken < 30
