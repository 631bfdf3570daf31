"""The pair of machines that the oracle's tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pair import Pair
from vms import NAME

from labctl.sandbox import Sandbox


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    box = Sandbox.open(f"{NAME}-oracle")
    box.down()
    try:
        box.up(students=2, driver="nspawn")
        for name in ("student1", "student2"):
            # what is still starting would be a difference between the two
            box.run(name, "systemctl is-system-running --wait", timeout=60)
        yield Pair(box, tmp_path)
    finally:
        box.down()
