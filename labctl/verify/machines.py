"""The VMs on which a matrix is tried: made, solved once, and put back before every case."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from labctl.errors import SandboxError
from labctl.inventory import Host, Inventory, load_inventory
from labctl.sandbox import Sandbox
from labctl.verify.matrix import Case, Shared

BARE, SOLVED = "bare", "solved"
SCRIPT_SECONDS = 240.0
READY_SECONDS = 120.0

#: Solves the lab on VMs of an inventory with the course's playbooks: the inventory's file, the VMs, the tags
#: to skip. Raises SandboxError when it does not succeed.
Setup = Callable[[Path, Sequence[str], Sequence[str]], None]


@dataclass
class Machines:
    """A sandbox of one kind. ``driver`` is "nspawn" or "qemu"; ``skip_tags`` what the playbooks leave out."""

    box: Sandbox
    driver: str
    shared: Shared
    skip_tags: tuple[str, ...] = ()
    inventory: Inventory = field(init=False)

    def prepare(self, students: int, cases: Sequence[Case], setup: Setup) -> None:
        """Bring up so many students' VMs, and keep the states that ``cases`` begin from."""
        self.box.down()
        self.box.up(students, driver=self.driver)
        self.inventory = load_inventory(self.box.inventory_path)
        if any(case.begins == BARE for case in cases):
            self._each(self.names, lambda name: self.box.snapshot(name, BARE))
        if any(case.begins == SOLVED for case in cases):
            setup(self.box.inventory_path, self.names, self.skip_tags)
            self._each(self.students, self._wait_ready)
            self._each(self.names, lambda name: self.box.snapshot(name, SOLVED))

    @property
    def staff(self) -> Host | None:
        """The staff's server, which containers do without."""
        found = self.inventory.group_hosts("staff")
        return found[0] if found and self.driver == "qemu" else None

    @property
    def hosts(self) -> tuple[Host, ...]:
        return self.inventory.group_hosts("students")

    @property
    def students(self) -> tuple[str, ...]:
        return tuple(host.name for host in self.hosts)

    @property
    def names(self) -> tuple[str, ...]:
        return (*self.students, *([self.staff.name] if self.staff else []))

    def make(self, host: Host, case: Case) -> None:
        """Put ``host`` (and the staff's server, which it has for itself) back, and do to it what ``case``
        says.

        Raises :class:`SandboxError` when that does not succeed: nothing is then known of the case.
        """
        names = [host.name, *([self.staff.name] if self.staff else [])]
        self._each(names, lambda name: self._restore(name, case.begins))
        if case.begins == SOLVED and self.driver == "nspawn":
            self._wait_ready(host.name)
        if case.staff and self.staff:
            self._run(self.staff.name, host, case.staff, SCRIPT_SECONDS)
        if case.script:
            self._run(host.name, host, case.script, SCRIPT_SECONDS)
        if case.reboot:
            self.box.reboot(host.name)

    def facts(self, host: Host) -> dict[str, str]:
        """What the texts of answers may name on this VM: the lab's variables, and what the commands of
        :attr:`Shared.facts` print there.

        Raises :class:`SandboxError` when one of them fails.
        """
        found = dict(facts_of(host))
        for name, command in self.shared.facts.items():
            found[name] = self._run(host.name, host, command, SCRIPT_SECONDS).strip()
        return found

    def down(self) -> None:
        with suppress(SandboxError):
            self.box.down()

    def _restore(self, name: str, state: str) -> None:
        try:
            self.box.restore(name, state)
        except (SandboxError, OSError):
            # a container that lets nobody in after its boot, or whose files were still in use
            self.box.restore(name, state)

    def _wait_ready(self, name: str) -> None:
        if self.shared.ready:
            (host,) = self.inventory.select([name])
            self._run(name, host, self.shared.ready, READY_SECONDS)

    def _run(self, where: str, host: Host, script: str, seconds: float) -> str:
        """What the script prints."""
        variables = "".join(f"{key}={shlex.quote(value)}\n" for key, value in facts_of(host).items())
        text = f"{variables}{self.shared.prelude}\n{script}"
        done = self.box.run(where, "sudo bash -eu -o pipefail -s", timeout=seconds, stdin=text)
        if done.status != 0:
            said = (done.stderr or done.stdout).strip()[-800:]
            raise SandboxError(f"its script ended with status {done.status}: {said}")
        return done.stdout

    @staticmethod
    def _each(names: Sequence[str], work: Callable[[str], None]) -> None:
        with ThreadPoolExecutor(max(1, len(names))) as pool:
            for done in [pool.submit(work, name) for name in names]:
                done.result()


def facts_of(host: Host) -> Mapping[str, str]:
    """The lab's variables of a host by the names that scripts have for them: lab_address is LAB_ADDRESS."""
    own = {key: host.value(key) for key in sorted(host.variables) if key.startswith(("lab_", "nfs_"))}
    return {key.upper(): str(value) for key, value in own.items() if isinstance(value, str | int)}
