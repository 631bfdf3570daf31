"""A mistake in an inventory is one message with the place that it is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labctl.errors import InventoryError

#: The text; the line and column of the mistake (0: of the whole file); what the message matches.
Mistake = tuple[str, int, int, str]


def is_shown(read: Callable[[Path, str], Any], folder: Path, mistake: Mistake) -> None:
    text, line, column, message = mistake
    with pytest.raises(InventoryError, match=message) as caught:
        read(folder, text)
    place = caught.value.place
    assert place is not None
    assert (place.line, place.column) == (line, column)
    assert place.text == (text.splitlines()[line - 1] if line else "")
