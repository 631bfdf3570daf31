"""The pair of machines that the oracle's tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pair import Pair
from vms import NAME

from labctl.sandbox import Sandbox


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    box = Sandbox.open(f"{NAME}-oracle")
    box.down()
    try:
        box.up(students=2, driver="nspawn")
        yield Pair(box, tmp_path_factory.mktemp("oracle"))
    finally:
        box.down()
