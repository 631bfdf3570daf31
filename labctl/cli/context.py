"""What most commands need first: the course and the inventory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from labctl.cli.course import Course, find_course
from labctl.inventory import Host, Inventory, load_inventory


@dataclass(frozen=True)
class Setting:
    """Where a command works: the course directory and the inventory in use."""

    course: Course
    inventory: Inventory

    @classmethod
    def current(cls, inventory: Sequence[Path] = (), course: Path | None = None) -> Setting:
        """From the options given, the environment, the running sandbox, the course's settings."""
        found = find_course(course)
        paths = tuple(inventory) or _from_environment() or _from_sandbox() or found.inventories
        return cls(found, load_inventory(*paths, roster=found.roster))

    def select(self, vms: Sequence[str]) -> tuple[Host, ...]:
        """The hosts named; a variable of theirs that is wrong is found now, before anything connects."""
        hosts = self.inventory.select(vms)
        for host in hosts:
            host.validate()
        return hosts


def _from_environment() -> tuple[Path, ...]:
    named = os.environ.get("LABCTL_INVENTORY")
    return (Path(named),) if named else ()


def _from_sandbox() -> tuple[Path, ...]:
    from labctl.sandbox import current_inventory

    path = current_inventory()
    return (path,) if path else ()
