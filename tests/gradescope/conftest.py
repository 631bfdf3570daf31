"""One submission, for every test of what becomes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from uploaded import Upload


@pytest.fixture
def upload(tmp_path: Path) -> Upload:
    return Upload(tmp_path)
