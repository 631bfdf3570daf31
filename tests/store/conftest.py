"""The databases that results are kept in: SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from postgresql import Postgresql, postgresql


@pytest.fixture(scope="session")
def server() -> Iterator[Postgresql]:
    with postgresql() as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database that is not there yet, or is empty."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/results.sqlite"
    running: Postgresql = request.getfixturevalue("server")
    return running.url()
