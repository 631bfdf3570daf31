"""What is known of a sandbox between two commands: one JSON file, replaced atomically."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from labctl.errors import SandboxError
from labctl.files import write_whole
from labctl.sandbox import process, releases

SCHEMA = 1
FILE = "state.json"
INVENTORY = "inventory.yml"


@dataclass(frozen=True)
class Vm:
    """One VM. ``ports`` maps a port in the VM to the one on ``address`` that leads to it.

    ``pid`` and ``ticks`` (its start time) are 0 until it runs; ``ready`` says that SSH has answered.
    """

    name: str
    address: str
    machine_id: str
    host_key: str
    ports: dict[int, int] = field(default_factory=dict)
    pid: int = 0
    ticks: int = 0
    ready: bool = False


@dataclass(frozen=True)
class State:
    """One sandbox. ``image`` is the digest of the image below its disks, ``secret`` the lab's; ``driver`` is
    ``qemu`` or ``nspawn``, ``release`` the name of one of releases.py.
    """

    name: str
    multicast: str
    secret: str
    image: str
    accel: str
    vms: dict[str, Vm] = field(default_factory=dict)
    driver: str = "qemu"
    release: str = releases.DEFAULT.name

    def with_vm(self, vm: Vm) -> State:
        return replace(self, vms={**self.vms, vm.name: vm})

    def check_made_with(self, **wanted: str | None) -> None:
        """SandboxError when the sandbox has another ``driver`` or ``release`` than is asked for."""
        for what, value in wanted.items():
            if value not in (None, has := getattr(self, what)):
                raise SandboxError(
                    f"sandbox {self.name!r} is up with {what} {has}",
                    hint=f"labctl sandbox down first, or another name in LABCTL_SANDBOX, for {what} {value}",
                )


def vm_dir(directory: Path, vm: str) -> Path:
    return directory / "vms" / vm


def pidfile(directory: Path, vm: str) -> Path:
    return vm_dir(directory, vm) / "qemu.pid"


def load(directory: Path) -> State | None:
    """The sandbox's state; None if there is none or it cannot be read (then it is half made)."""
    try:
        raw: dict[str, Any] = json.loads((directory / FILE).read_text(encoding="utf-8"))
        if raw.pop("schema") != SCHEMA:
            return None
        vms = {
            name: Vm(**{**vm, "ports": {int(inside): outside for inside, outside in vm["ports"].items()}})
            for name, vm in raw.pop("vms").items()
        }
        return State(**raw, vms=vms)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def save(directory: Path, state: State) -> None:
    write_whole(directory / FILE, json.dumps({"schema": SCHEMA, **asdict(state)}, indent=1))


def runs(directory: Path, vm: Vm) -> bool:
    """Whether the VM's own QEMU or container is alive: pid, start time and command line agree."""
    return vm.pid > 0 and process.is_ours(vm.pid, pidfile(directory, vm.name), vm.ticks)


def is_up(directory: Path) -> bool:
    """Whether there are VMs, they all run and have answered, and there is an inventory. Starts nothing."""
    known = load(directory)
    return (
        known is not None
        and bool(known.vms)
        and all(vm.ready and runs(directory, vm) for vm in known.vms.values())
        and (directory / INVENTORY).exists()
    )


@contextlib.contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the sandbox alone. The lock is on the directory itself, so none is left when it is removed."""
    while True:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            # whoever held it may have removed the directory: then this lock is on nothing
            if _same(directory, handle):
                yield
                return
        finally:
            os.close(handle)


def _same(directory: Path, handle: int) -> bool:
    try:
        return os.path.samestat(directory.stat(), os.fstat(handle))
    except FileNotFoundError:
        return False
