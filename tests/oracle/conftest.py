"""The pair of machines that the oracle's tests share."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from pair import Pair
from vms import NAME

from labctl.sandbox import Sandbox
from labctl.sandbox.box import AGAIN
from labctl.sandbox.progress import Progress


def _warn(progress: Progress) -> None:
    """A machine that had to be made twice is no failure of the test, and worth a look all the same."""
    if progress.what.startswith(AGAIN):
        warnings.warn(str(progress), stacklevel=1)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    box = Sandbox.open(f"{NAME}-oracle")
    box.down()
    try:
        box.up(students=2, progress=_warn, driver="nspawn")
        for name in ("student1", "student2"):
            # what is still starting would be a difference between the two
            box.run(name, "systemctl is-system-running --wait", timeout=300)
        yield Pair(box, tmp_path)
    finally:
        box.down()
