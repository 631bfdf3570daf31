"""One VM as a QEMU process: its command line, its start, its end."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from labctl.errors import SandboxError
from labctl.sandbox import network, nspawn, process
from labctl.sandbox.image import Image
from labctl.sandbox.state import Vm, pidfile, vm_dir

MEMORY_MB = 448
CONSOLE = "console.log"
QMP = "qmp.sock"
CLOCK = "clock.sock"
#: With the code of all that installing packages runs in it; 96 MB were translated anew again and again.
_CODE_CACHE_MB = 256
_CMDLINE = (
    # names the first card eth0; spends no time on CPU bugs that an emulator has not, nor on timers
    "console=ttyS0 quiet net.ifnames=0 mitigations=off no_timer_check tsc=reliable apparmor=0 selinux=0 "
    "audit=0 random.trust_cpu=on panic=5"
)
#: QEMU 7.2 keeps translated code by its virtual address: where each process has its libraries elsewhere, as
#: against attackers, each translates them anew. Without that, perl, sudo or a login take half the time.
_CMDLINE_EMULATED = f"{_CMDLINE} norandmaps init_on_alloc=0 rcupdate.rcu_expedited=1"


@dataclass(frozen=True)
class Boot:
    """What a VM boots with, the same for all VMs of a sandbox."""

    sandbox: str
    directory: Path
    image: Image
    accel: str
    multicast: str


def qemu_argv(program: str, boot: Boot, vm: Vm) -> list[str]:
    """The whole command line. Sockets are named relative to the VM's directory: their paths must be short."""
    here = vm_dir(boot.directory, vm.name)
    # A plain old CPU is emulated about a tenth faster than "max": no five-level page tables, no AVX, no
    # SMAP (fork, perl and python timed on QEMU 7.2). And not "max,-svm": that model miscomputes there.
    tcg = (f"tcg,tb-size={_CODE_CACHE_MB}", "Nehalem", _CMDLINE_EMULATED)
    accel, cpu, words = ("kvm", "host", _CMDLINE) if boot.accel == "kvm" else tcg
    user = ",".join(["user", "id=net0", "ipv6=off", *network.forwards(vm.address, vm.ports)])
    return [
        *(program, "-name", f"labctl-{boot.sandbox}-{vm.name}"),
        *("-pidfile", str(pidfile(boot.directory, vm.name)), "-daemonize"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-machine", "pc", "-rtc", "base=utc"),
        *("-accel", accel, "-cpu", cpu, "-smp", "1", "-m", str(MEMORY_MB)),
        *("-kernel", str(boot.image.kernel), "-initrd", str(boot.image.initrd), "-append", words),
        *("-fw_cfg", f"name=opt/org.labctl/seed,file={here / 'seed.tar'}"),
        # unsafe: never waits for the host's disk; after a crash of QEMU the disk is made anew anyway
        *("-drive", f"file={here / 'disk.qcow2'},if=none,id=disk0,format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", "virtio-blk-pci,drive=disk0"),
        *("-netdev", user, "-device", f"virtio-net-pci,netdev=net0,mac={network.mac(vm.name, 0)},romfile="),
        *("-netdev", f"socket,id=net1,mcast={boot.multicast},localaddr=127.0.0.1"),
        *("-device", f"virtio-net-pci,netdev=net1,mac={network.mac(vm.name, 1)},romfile="),
        *("-device", "virtio-rng-pci"),
        *("-chardev", f"file,id=console,path={here / CONSOLE}", "-serial", "chardev:console"),
        *("-chardev", f"socket,id=clock,path={CLOCK},server=on,wait=off", "-serial", "chardev:clock"),
        *("-qmp", f"unix:{QMP},server=on,wait=off"),
    ]


def start(boot: Boot, vm: Vm, seed_tar: bytes) -> Vm:
    """Make the VM's disk and start QEMU on it; the VM with its pid. SandboxError with QEMU's own words."""
    qemu, img = shutil.which("qemu-system-x86_64"), shutil.which("qemu-img")
    if qemu is None or img is None:
        raise SandboxError(
            "QEMU is missing", hint="apt-get install --no-install-recommends qemu-system-x86 qemu-utils"
        )
    here = vm_dir(boot.directory, vm.name)
    here.mkdir(mode=0o700, parents=True)
    tar = here / "seed.tar"
    tar.touch(mode=0o600)
    tar.write_bytes(seed_tar)
    disk = ["create", "-q", "-f", "qcow2", "-b", str(boot.image.disk), "-F", "raw", str(here / "disk.qcow2")]
    for argv in ([img, *disk], qemu_argv(qemu, boot, vm)):
        try:
            done = subprocess.run(
                argv,
                cwd=here,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
                timeout=60,
            )
        except subprocess.TimeoutExpired as err:
            raise SandboxError(f"{vm.name}: {Path(argv[0]).name} had not begun after 60 s") from err
        if done.returncode != 0:
            words = (done.stderr or done.stdout).strip() or f"exit status {done.returncode}"
            raise SandboxError(f"{vm.name} did not start: {words}")
    pid = int(pidfile(boot.directory, vm.name).read_text(encoding="ascii"))
    ticks = process.start_ticks(pid)
    if ticks is None:
        raise SandboxError(f"{vm.name}: QEMU ended at once", hint=console_tail(boot.directory, vm.name))
    return replace(vm, pid=pid, ticks=ticks)


def remove(directory: Path, name: str) -> None:
    """End the VM's process, wherever it was left, unmount what is its, and delete its files."""
    process.end_all(pidfile(directory, name))
    nspawn.clear(vm_dir(directory, name))
    shutil.rmtree(vm_dir(directory, name), ignore_errors=True)


def console_tail(directory: Path, name: str, lines: int = 15) -> str:
    """The last words of the VM's serial console."""
    try:
        text = (vm_dir(directory, name) / CONSOLE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "(no console output)"
    shown = [line.rstrip() for line in text.replace("\r", "").splitlines() if line.strip()][-lines:]
    return "\n".join(shown) or "(no console output)"


def existing(directory: Path) -> list[str]:
    """Names of the VMs that have files, in use or left over."""
    try:
        return sorted(entry.name for entry in (directory / "vms").iterdir())
    except OSError:
        return []
