"""Fixtures of the sandbox's own tests: a sandbox that may be crashed and removed, and a home without one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.sandbox import Sandbox


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Cache and state directories of nobody."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


@pytest.fixture(scope="module")
def spare() -> Iterator[Sandbox]:
    """A sandbox of this module's own: its tests kill VMs, which the shared one must not suffer."""
    box = Sandbox.open("spare")
    box.down()
    yield box
    box.down()
