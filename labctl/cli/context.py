"""What most commands need first: the course and the inventory."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from labctl.cli.course import Course, find_course
from labctl.connect import check_configuration, kept_hops
from labctl.errors import RequestError
from labctl.inventory import Host, Inventory, load_inventory


@dataclass(frozen=True)
class Setting:
    """Where a command works: the course directory and the inventory in use."""

    course: Course
    inventory: Inventory

    @classmethod
    def current(cls, inventory: Sequence[Path] = (), course: Path | None = None) -> Setting:
        """From the options given, the environment, the running sandbox, the course's settings.

        Raises :class:`RequestError` where there is no SSH to reach any host with.
        """
        if importlib.util.find_spec("paramiko") is None:
            raise RequestError(
                "this labctl is for the machine that it runs on: it has no SSH to reach another",
                hint="copy it to the VM and run it there, without the VM's name",
            )
        found = find_course(course)
        paths = tuple(inventory) or _from_environment() or _from_sandbox() or found.inventories
        return cls(found, load_inventory(*paths, roster=found.roster))

    @classmethod
    def here(cls, course: Path | None = None) -> Setting:
        """For this machine alone: no inventory is read."""
        return cls(find_course(course), Inventory({}, {}))

    def select(self, vms: Sequence[str]) -> tuple[Host, ...]:
        """The hosts named; what is wrong in their variables is found now, before anything connects."""
        hosts = self.inventory.select(vms)
        for host in hosts:
            host.validate()
        return self.on_the_way(hosts)

    @staticmethod
    def on_the_way(hosts: tuple[Host, ...]) -> tuple[Host, ...]:
        """``hosts``, once ssh's configuration for them has been checked.

        One login at a jump host is then enough for all that the command does.
        """
        check_configuration(hosts)
        command = click.get_current_context(silent=True)
        if command:
            command.find_root().with_resource(kept_hops())
        return hosts


def program() -> str:
    """What the user types for labctl."""
    command = click.get_current_context(silent=True)
    return (command.find_root().info_name if command else None) or "labctl"


def _from_environment() -> tuple[Path, ...]:
    named = os.environ.get("LABCTL_INVENTORY")
    return (Path(named),) if named else ()


def _from_sandbox() -> tuple[Path, ...]:
    from labctl.sandbox import current_inventory

    path = current_inventory()
    return (path,) if path else ()
