"""The sandbox as a whole: brings its VMs up and down, and answers for them."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from labctl.errors import SandboxError
from labctl.files import write_whole
from labctl.sandbox import accel, clock, image, inventory, needs, network, nspawn, paths, seed, ssh, state, vm
from labctl.sandbox.booting import AT_ONCE, booted
from labctl.sandbox.inotify import make_room
from labctl.sandbox.progress import Progress, Reporter, Steps, silent
from labctl.sandbox.qmp import Qmp, snapshot_names
from labctl.sandbox.releases import DEFAULT, Release, named
from labctl.sandbox.ssh import Finished
from labctl.sandbox.state import State, Vm

BOOT_SECONDS = 180.0
#: A container boots in a second or two, or not at all.
CONTAINER_BOOT_SECONDS = 60.0
#: How the line of progress begins that tells of a VM which has to be made anew.
AGAIN = "once more"
NSPAWN = "nspawn"
_SNAPSHOT_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,60}")
# The NFS lab's secret: a word a student can type
_SYLLABLES = tuple(first + second for first in "bdfgklmnprstvz" for second in "aeiou")


@dataclass(frozen=True)
class VmStatus:
    """One VM as seen now.

    ``state`` is ``running``, ``starting`` (SSH has not answered) or ``stopped`` (crashed or half made).
    """

    name: str
    state: str
    address: str
    ports: dict[int, int]
    lan_address: str
    pid: int


@dataclass(frozen=True)
class Status:
    """The sandbox as seen now; without one ``vms``, ``accel`` (``kvm`` or ``tcg``), ``release`` are empty."""

    name: str
    up: bool
    accel: str
    inventory: Path | None
    vms: tuple[VmStatus, ...]
    release: str = ""


class _ShutOut(SandboxError):
    """A VM started, and did not let us in."""


class Sandbox:
    """A handle on one sandbox, which may or may not be up. Making one does nothing; safe to make many."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory

    @classmethod
    def open(cls, name: str | None = None) -> Sandbox:
        """The sandbox called ``name``, else LABCTL_SANDBOX, else ``default``."""
        chosen = paths.sandbox_name(name)
        return cls(chosen, paths.sandbox_dir(chosen))

    @property
    def inventory_path(self) -> Path:
        """Where ``up`` writes the inventory; there is a file only while the sandbox is up."""
        return self.directory / state.INVENTORY

    # -- up and down ---------------------------------------------------------------------------

    def up(
        self,
        students: int | None = None,
        progress: Reporter = silent,
        *,
        driver: str | None = None,
        release: str | None = None,
    ) -> Path:
        """Bring up ``staff2`` and ``student1`` .. ``studentN``; returns the inventory's path.

        VMs that run are left alone, those beyond ``students`` too; missing ones are added, crashed and
        half-made ones made anew. Without ``students``: as many as there are, else 1. ``driver`` is ``qemu``
        (the default) or ``nspawn``, containers: fast, but they need root and have no kernel of their own;
        ``release`` what all of them run, ``bookworm`` (the default) or ``jammy``.
        A VM that does not let us in within ``BOOT_SECONDS`` is made anew, once; then SandboxError, with the
        end of the console and what its network looks like.
        """
        if driver == NSPAWN:
            nspawn.check_usable()
        if students is not None:
            network.vm_names(students)
        if release is not None:
            named(release)
        with state.locked(self.directory):
            try:
                try:
                    return self._up(students, progress, driver, release)
                except _ShutOut as why:
                    progress(Progress("sandbox", f"{AGAIN}: {why.message}", BOOT_SECONDS, 0, 1))
                    return self._up(students, progress, driver, release)
            except BaseException:
                # keep what runs; drop what would only look like a sandbox
                if state.load(self.directory) is None:
                    self._remove()
                raise

    def _up(self, students: int | None, progress: Reporter, driver: str | None, release: str | None) -> Path:
        known = state.load(self.directory)
        if known is not None:
            known.check_made_with(driver=driver, release=release)
        system = named(known.release if known is not None else release or DEFAULT.name)
        count = students or max(1, len(known.vms) - 1 if known else 1)
        wanted = network.vm_names(count)
        whole = known is not None and all(
            name in known.vms and known.vms[name].ready and state.runs(self.directory, known.vms[name])
            for name in {*wanted, *known.vms}
        )
        if known is not None and whole and set(vm.existing(self.directory)) == set(known.vms):
            return inventory.write(self.directory, known)
        # Wanted, or there before and crashed: a VM is only ever dropped by down
        names = tuple(dict.fromkeys((*wanted, *(known.vms if known else ()))))
        base = image.ensure(progress, system)
        steps = Steps("sandbox", 2 + len(names), progress)
        if known is None:
            self._remove_contents()
            known = self._create(base, driver or "qemu", system)
        else:
            for stray in set(vm.existing(self.directory)) - set(known.vms):
                vm.remove(self.directory, stray)
        todo = self._to_boot(known, names)
        if warning := needs.memory_warning(len(todo), known.driver):
            steps.note(warning)
        if known.driver == NSPAWN:
            steps.step("mounting the image and making the bridge")
            nspawn.prepare(self.name, self.directory, base)
            if raised := make_room(self.directory, len(todo)):
                steps.note(raised)
            known = replace(known, accel="container", image=base.digest)
        else:
            steps.step("checking whether KVM works")
            known = replace(
                known, accel=accel.choose(base.kernel, base.initrd, paths.cache_dir()), image=base.digest
            )
        return self._boot(known, names, base, steps)

    def _create(self, base: image.Image, driver: str, release: Release) -> State:
        """Fresh keys and names; nothing runs yet."""
        private, public = seed.make_key(f"labctl-sandbox-{self.name}")
        key = self.directory / ssh.KEY
        key.touch(mode=0o600)
        key.write_text(private, encoding="ascii")
        (self.directory / f"{ssh.KEY}.pub").write_text(public + "\n", encoding="ascii")
        word = "".join(secrets.choice(_SYLLABLES) for _ in range(4))
        group = network.new_multicast()
        return State(self.name, group, word, base.digest, "tcg", driver=driver, release=release.name)

    def _boot(self, known: State, names: tuple[str, ...], base: image.Image, steps: Steps) -> Path:
        boot = vm.Boot(self.name, self.directory, base, known.accel, known.multicast)
        authorized = (self.directory / f"{ssh.KEY}.pub").read_text(encoding="ascii").strip()
        todo = self._to_boot(known, names)
        is_container = known.driver == NSPAWN
        size = "" if is_container else f", {vm.MEMORY_MB} MB each"
        steps.step(f"starting {_listed(todo)} ({known.accel}{size})")
        for name in todo:
            vm.remove(self.directory, name)
            # a VM made anew keeps its host key: whoever knew it still does
            known = known.with_vm(self._identity(known, name))
        self._write_known_hosts(known)
        # before anything runs: whatever happens now, the next command knows what to look for
        state.save(self.directory, known)

        def start(name: str) -> Vm:
            nonlocal known
            one = known.vms[name]
            contents = seed.files(
                name, machine_id=one.machine_id, host_key=one.host_key, authorized=authorized
            )
            if is_container:
                contents |= nspawn.seed_changes(self.name, name)
                started = nspawn.start(self.name, self.directory, one, contents)
            else:
                started = vm.start(boot, one, seed.archive(contents))
            known = known.with_vm(started)
            state.save(self.directory, known)
            return started

        try:
            for one in booted(todo, start, lambda one: self._wait(one, steps, is_container)):
                known = known.with_vm(replace(one, ready=True))
                state.save(self.directory, known)
        except BaseException as err:
            # one that did not come up costs the others nothing; who interrupts wants none of them
            is_kept = isinstance(err, SandboxError)
            for name in todo:
                if not (is_kept and known.vms[name].ready):
                    vm.remove(self.directory, name)
            raise
        return inventory.write(self.directory, known)

    def _to_boot(self, known: State, names: Sequence[str]) -> list[str]:
        """Of ``names`` those that are missing, half made or crashed."""
        return [
            name
            for name in names
            if name not in known.vms
            or not known.vms[name].ready
            or not state.runs(self.directory, known.vms[name])
        ]

    def _identity(self, known: State, name: str) -> Vm:
        before = known.vms.get(name)
        if known.driver == NSPAWN:
            # an address of its own on the bridge: every port is the VM's
            address = nspawn.outside_address(self.name, name)
            ports = {port: port for port in network.TCP_PORTS}
        else:
            address = network.outside_address(self.name, name)
            ports = network.choose_ports(address)
        if before is not None:
            return replace(before, ports=ports, pid=0, ticks=0, ready=False)
        private, _ = seed.make_key(name)
        return Vm(name, address, uuid.uuid4().hex, private, ports)

    def _write_known_hosts(self, known: State) -> None:
        lines = [
            seed.known_hosts_line(one.address, one.ports[network.SSH], seed.public_of(one.host_key))
            for one in known.vms.values()
        ]
        write_whole(self.directory / ssh.KNOWN_HOSTS, "".join(lines))

    def _wait(self, one: Vm, steps: Steps, is_container: bool) -> None:
        """Until SSH lets us in, the clock is right; then counts a step."""
        seconds = CONTAINER_BOOT_SECONDS if is_container else BOOT_SECONDS
        began = time.monotonic()
        deadline = began + seconds
        # A VM that takes long to boot takes long to answer too: who gives up before it does never gets in.
        while refusal := ssh.refusal(self.directory, one, timeout=2.0 + (time.monotonic() - began) / 10):
            if not state.runs(self.directory, one):
                said = vm.console_tail(self.directory, one.name)
                raise SandboxError(
                    f"{one.name} ended while it was starting; its console's last lines:\n{said}"
                )
            if "Kernel panic" in vm.console_tail(self.directory, one.name, 60) or time.monotonic() > deadline:
                network_now = nspawn.look_at_network(one) if is_container else ""
                raise _ShutOut(
                    f"{one.name} did not let us in within {seconds:.0f} s ({refusal}); "
                    f"its console's last lines:\n{vm.console_tail(self.directory, one.name)}{network_now}"
                )
            time.sleep(0.2)
        if not is_container:
            clock.set_clock(self._socket(one.name, vm.CLOCK))
        steps.step(f"{one.name} is up: {one.address} port {one.ports[network.SSH]}")

    def down(self, progress: Reporter = silent) -> bool:
        """End the VMs and delete every file, disks and snapshots too; False if there was nothing."""
        if not self.directory.exists():
            return False
        with state.locked(self.directory):
            steps = Steps("sandbox", 1, progress)
            self._remove()
            steps.step("the VMs are ended and their files deleted")
        return True

    def _remove_contents(self) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda name: vm.remove(self.directory, name), vm.existing(self.directory)))
        nspawn.release(self.name, self.directory)
        for entry in self.directory.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()

    def _remove(self) -> None:
        self._remove_contents()
        self.directory.rmdir()
        for parent in (paths.sandboxes_dir(), paths.sandboxes_dir().parent):
            try:
                parent.rmdir()
            except OSError:
                return

    # -- questions -----------------------------------------------------------------------------

    def status(self) -> Status:
        """What there is now; starts and stops nothing."""
        known = state.load(self.directory)
        if known is None:
            left = tuple(VmStatus(name, "stopped", "", {}, "", 0) for name in vm.existing(self.directory))
            return Status(self.name, False, "", None, left)
        vms = tuple(
            VmStatus(
                one.name, self._state_of(one), one.address, one.ports, network.lan_address(one.name), one.pid
            )
            for one in sorted(known.vms.values(), key=lambda one: network.number(one.name))
        )
        up = bool(vms) and all(one.state == "running" for one in vms)
        where = self.inventory_path if up else None
        return Status(self.name, up, known.accel, where, vms, known.release)

    def _state_of(self, one: Vm) -> str:
        if not state.runs(self.directory, one):
            return "stopped"
        return "running" if one.ready else "starting"

    def is_up(self) -> bool:
        """Whether there are VMs, they all run, and there is an inventory. Reads a few files only."""
        return state.is_up(self.directory)

    def vm(self, name: str) -> Vm:
        """The running VM called ``name``. SandboxError that says which there are."""
        known = state.load(self.directory)
        if known is None:
            raise SandboxError(f"sandbox {self.name!r} is not up", hint="labctl sandbox up")
        one = known.vms.get(name)
        if one is None:
            raise SandboxError(
                f"sandbox {self.name!r} has no VM {name!r}", hint=f"it has {', '.join(known.vms)}"
            )
        if not state.runs(self.directory, one):
            raise SandboxError(f"{name} does not run", hint="labctl sandbox up mends it")
        return one

    # -- work on one VM ------------------------------------------------------------------------

    def ssh_argv(self, name: str, *, batch: bool = False) -> list[str]:
        """The ``ssh`` command line for the VM, without a command; ``batch`` never asks anything."""
        return ssh.argv(self.directory, self.vm(name), batch=batch)

    def run(
        self, name: str, command: str | Sequence[str], timeout: float = 60.0, *, stdin: str | None = None
    ) -> Finished:
        """Run a shell line (or an argv) as the VM's user; see ``ssh.run``."""
        return ssh.run(self.directory, self.vm(name), command, timeout=timeout, stdin=stdin)

    def power_cycle(self, name: str) -> None:
        """Reset the running VM as its power switch would; returns at once, while it boots."""
        with self._qmp(name) as monitor:
            monitor.execute("system_reset")

    def snapshot(self, name: str, tag: str) -> None:
        """Keep the running VM's disk and memory under ``tag``, in place of an earlier one of that name.

        Of a container the disk alone, and it is booted anew.
        """
        self._check_tag(tag)
        if self._is_container():
            self._boot_anew(name, tag, nspawn.keep)
            return
        with self._qmp(name) as monitor:
            monitor.monitor(f"savevm {tag}")

    def restore(self, name: str, tag: str) -> None:
        """Put the VM back to ``tag``; returns when its clock is right, or when the container let us in.

        Its connections of before are dead.
        """
        self._check_tag(tag)
        if tag not in self.snapshots(name):
            raise SandboxError(
                f"{name} has no snapshot {tag!r}", hint=f"labctl sandbox snapshot {name} {tag}"
            )
        if self._is_container():
            self._boot_anew(name, tag, nspawn.back)
            return
        with self._qmp(name) as monitor:
            monitor.monitor(f"loadvm {tag}")
        clock.set_clock(self._socket(name, vm.CLOCK))

    def snapshots(self, name: str) -> list[str]:
        """The names of the VM's snapshots."""
        if self._is_container():
            return nspawn.snapshots(self.directory, self.vm(name).name)
        with self._qmp(name) as monitor:
            return snapshot_names(monitor.monitor("info snapshots"))

    def has_snapshot(self, name: str, tag: str) -> bool:
        return tag in self.snapshots(name)

    def reboot(self, name: str) -> None:
        """Shut the VM down and boot it; returns when it lets us in again."""
        if self._is_container():
            self._boot_anew(
                name, "", lambda sandbox, directory, one, _: nspawn.reboot(sandbox, directory, one)
            )
            return
        booted = "cat /proc/sys/kernel/random/boot_id"
        before = self.run(name, booted).stdout
        self.run(name, "sudo systemd-run --quiet --on-active=0.2 systemctl reboot")
        until = time.monotonic() + BOOT_SECONDS
        while time.monotonic() < until:
            with contextlib.suppress(SandboxError):
                if self.run(name, booted, timeout=10).stdout not in ("", before):
                    return
            time.sleep(0.5)
        raise SandboxError(f"{name} did not come back within {BOOT_SECONDS:.0f} s")

    def _is_container(self) -> bool:
        known = state.load(self.directory)
        return known is not None and known.driver == NSPAWN

    def _boot_anew(self, name: str, tag: str, work: Callable[[str, Path, Vm, str], Vm]) -> None:
        """``work`` ends the container and starts it again. Other VMs of the sandbox may be at it as well."""
        started = work(self.name, self.directory, self.vm(name), tag)
        with state.locked(self.directory):
            known = state.load(self.directory)
            if known is None:
                raise SandboxError(f"sandbox {self.name!r} was taken down meanwhile")
            state.save(self.directory, known.with_vm(started))
        self._wait(started, Steps("sandbox", 1, silent), is_container=True)

    def _qmp(self, name: str) -> Qmp:
        return Qmp(self._socket(self.vm(name).name, vm.QMP))

    def _socket(self, name: str, file: str) -> Path:
        return state.vm_dir(self.directory, name) / file

    @staticmethod
    def _check_tag(tag: str) -> None:
        if not _SNAPSHOT_NAME.fullmatch(tag):
            raise SandboxError(
                f"{tag!r} cannot name a snapshot", hint="a letter first, then letters, digits, . _ and -"
            )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 4 else f"{names[0]} to {names[-1]}, {len(names)} VMs"
