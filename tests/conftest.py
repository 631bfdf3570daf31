"""Fixtures that all tests share: the two VMs, and a user's settings kept out."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from vms import NAME, Machines

from labctl.sandbox import Sandbox


@pytest.fixture(scope="session")
def machines() -> Iterator[Machines]:
    """Both VMs, freshly booted for this session and removed after it."""
    box = Sandbox.open(NAME)
    box.down()  # what an interrupted session may have left is in an unknown state
    box.up(students=1, progress=lambda step: print(step, file=sys.stderr))
    try:
        made = Machines(box)
        made.keep("bare")
        yield made
    finally:
        box.down()


@pytest.fixture(scope="session")
def sandbox(machines: Machines) -> Sandbox:
    """The sandbox room's own handle on the shared VMs."""
    return machines.box


@pytest.fixture
def bare(machines: Machines) -> Machines:
    """Both VMs as they were after their first boot."""
    machines.bare()
    return machines


@pytest.fixture
def provisioned(machines: Machines) -> Machines:
    """Both VMs with the lab set up on them."""
    machines.provisioned()
    return machines


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests see neither the user's running sandbox nor the user's settings."""
    for name in ("LABCTL_COURSE", "LABCTL_INVENTORY", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LABCTL_SANDBOX", NAME)
