"""One VM as a systemd-nspawn container: the same image, the same seed, no emulated CPU.

It boots the real systemd in about a second and runs at the machine's full speed, but needs root and shares
this machine's kernel: what needs a kernel of its own (NFS, reboot) is for QEMU. A snapshot is of the disk
alone: the VM is booted anew when one is made or put back.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import time
import zlib
from dataclasses import replace
from pathlib import Path

from labctl.errors import SandboxError
from labctl.sandbox import cgroups, inotify, network, process
from labctl.sandbox.image import Image
from labctl.sandbox.state import Vm, pidfile, vm_dir

PACKAGE = "systemd-container"
CONSOLE = "console.log"
LOWER = "lower"
#: Of one VM: what differs from the image, the two seen as one, and what was kept.
UPPER, ROOT, SNAPSHOTS = "upper", "root", "snapshots"
_MOUNTINFO = Path("/proc/self/mountinfo")
_START_SECONDS = 10.0
_SHUTDOWN_SECONDS = 30.0

# As in a QEMU VM, what comes from this machine must not count as a neighbour (see seed.py): hence the /32
_NETWORK = """\
link set lo up
link set host0 up
address add {outside}/32 dev host0
route add {gateway}/32 dev host0 src {outside}
address add {lan}/24 broadcast + dev host0
"""


def check_usable() -> None:
    """SandboxError that says what is missing when this machine or user cannot run containers."""
    if os.geteuid() != 0:
        raise SandboxError(
            "containers need root", hint="sudo labctl sandbox up --driver nspawn, or leave --driver out"
        )
    if shutil.which("systemd-nspawn") is None:
        raise SandboxError("systemd-nspawn is missing", hint=f"apt-get install {PACKAGE}")


def outside_net(sandbox: str) -> str:
    """First three parts of the addresses that this machine and the containers of a sandbox share."""
    checksum = zlib.crc32(sandbox.encode())
    return f"10.{100 + checksum % 100}.{(checksum >> 8) % 256}"


def outside_address(sandbox: str, vm: str) -> str:
    return f"{outside_net(sandbox)}.{network.number(vm)}"


def bridge_name(sandbox: str) -> str:
    return f"lab{zlib.crc32(sandbox.encode()):08x}"


def bridge_mac(sandbox: str) -> str:
    """A locally administered address, different for each sandbox."""
    number = zlib.crc32(sandbox.encode()).to_bytes(4, "big")
    return f"02:00:{number.hex(':')}"


def machine_name(sandbox: str, vm: str) -> str:
    """Its own on this machine; nspawn calls the network card on our side ``vb-`` and this."""
    return f"lc{zlib.crc32(f'{sandbox}/{vm}'.encode()):08x}"


def seed_changes(sandbox: str, vm: str) -> dict[str, tuple[int, str]]:
    """What differs from a QEMU VM's seed: the network's set-up, and a disk that is mounted already."""
    addresses = {
        "outside": outside_address(sandbox, vm),
        "gateway": f"{outside_net(sandbox)}.1",
        "lan": network.lan_address(vm),
    }
    return {
        "etc/labctl/network": (0o644, _NETWORK.format(**addresses)),
        "etc/fstab": (0o644, ""),
    }


def prepare(sandbox: str, directory: Path, image: Image) -> None:
    """The parts that a sandbox's containers share: the image, mounted read-only, and the bridge."""
    lower = directory / LOWER
    lower.mkdir(mode=0o700, exist_ok=True)
    if not os.path.ismount(lower):
        _do("mount", "-o", "loop,ro", str(image.disk), str(lower))
    bridge = bridge_name(sandbox)
    if not Path("/sys/class/net", bridge).exists():
        # an address of its own: a bridge takes the lowest of its members', which changes as they come, and
        # a container that asked before would send its answers to nobody
        _do("ip", "link", "add", bridge, "address", bridge_mac(sandbox), "type", "bridge")
        _do("ip", "address", "add", f"{outside_net(sandbox)}.1/24", "dev", bridge)
        _do("ip", "link", "set", bridge, "up")


def start(sandbox: str, directory: Path, vm: Vm, contents: dict[str, tuple[int, str]]) -> Vm:
    """Lay the VM's own files over the image and boot it; the VM with its pid. SandboxError says why not."""
    here = vm_dir(directory, vm.name)
    for part in (UPPER, "work", ROOT):
        (here / part).mkdir(parents=True)
    root = _mount(directory, here)
    for name, (mode, text) in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
    _do("chroot", str(root), "/bin/sh", "/var/lib/labctl/seed.sh")
    return _boot(sandbox, directory, vm)


def keep(sandbox: str, directory: Path, vm: Vm, tag: str) -> Vm:
    """Shut the VM down, copy what differs from the image under ``tag``, boot it again."""
    here = vm_dir(directory, vm.name)
    _end(directory, vm, grace=_SHUTDOWN_SECONDS)
    copy = here / SNAPSHOTS / tag
    copy.parent.mkdir(exist_ok=True)
    shutil.rmtree(copy, ignore_errors=True)
    _do("cp", "-a", str(here / UPPER), str(copy))
    _mount(directory, here)
    return _boot(sandbox, directory, vm)


def back(sandbox: str, directory: Path, vm: Vm, tag: str) -> Vm:
    """Switch the VM off, put back what was kept under ``tag``, boot it."""
    here = vm_dir(directory, vm.name)
    _end(directory, vm, grace=0)
    shutil.rmtree(here / UPPER)
    _do("cp", "-a", str(here / SNAPSHOTS / tag), str(here / UPPER))
    _mount(directory, here)
    return _boot(sandbox, directory, vm)


def reboot(sandbox: str, directory: Path, vm: Vm) -> Vm:
    """Shut the VM down, and boot it again."""
    _end(directory, vm, grace=_SHUTDOWN_SECONDS)
    _mount(directory, vm_dir(directory, vm.name))
    return _boot(sandbox, directory, vm)


def snapshots(directory: Path, name: str) -> list[str]:
    """The tags under which something is kept, sorted."""
    kept = vm_dir(directory, name) / SNAPSHOTS
    return sorted(entry.name for entry in kept.iterdir()) if kept.is_dir() else []


def _end(directory: Path, vm: Vm, grace: float) -> None:
    """End the VM: after ``grace`` seconds, in which it may shut down, with all that is in it."""
    own = pidfile(directory, vm.name)
    if grace:
        process.end(vm.pid, own, grace=grace)
    process.end_all(own)
    clear(vm_dir(directory, vm.name))


def _mount(directory: Path, here: Path) -> Path:
    """The VM's files over the image's; where they are then seen together."""
    # what overlayfs keeps there for itself belongs to one pair of directories
    shutil.rmtree(here / "work")
    (here / "work").mkdir()
    root = here / ROOT
    layers = f"lowerdir={directory / LOWER},upperdir={here / UPPER},workdir={here / 'work'}"
    _do("mount", "-t", "overlay", "labctl", "-o", layers, str(root))
    # systemd asks the root directory for its mode; mkdir's was for our own eyes
    root.chmod(0o755)
    return root


def _boot(sandbox: str, directory: Path, vm: Vm) -> Vm:
    here = vm_dir(directory, vm.name)
    pid_file = pidfile(directory, vm.name)
    with (here / CONSOLE).open("wb") as console:
        # --fork: nobody's child, as QEMU's -daemonize does it
        subprocess.run(
            [
                *("sh", "-c", cgroups.ENTER, "sh", *map(str, cgroups.make(group_name(here))), "--"),
                *("setsid", "--fork", *argv(sandbox, directory, vm)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=subprocess.STDOUT,
            check=True,
        )
    until = time.monotonic() + _START_SECONDS
    while not (found := process.find(pid_file)):
        if time.monotonic() > until:
            words = (here / CONSOLE).read_text(encoding="utf-8", errors="replace").strip()
            raise SandboxError(f"{vm.name} did not start: {words[-500:] or 'no word from systemd-nspawn'}")
        time.sleep(0.01)
    pid_file.write_text(f"{found[0]}\n", encoding="ascii")
    ticks = process.start_ticks(found[0])
    if ticks is None:
        raise SandboxError(f"{vm.name}: systemd-nspawn ended at once")
    return replace(vm, pid=found[0], ticks=ticks)


def argv(sandbox: str, directory: Path, vm: Vm) -> list[str]:
    """systemd-nspawn's command line; the VM's pid file in it is how the process is found again."""
    return [
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", "--private-users=no"),
        f"--directory={vm_dir(directory, vm.name) / ROOT}",
        f"--machine={machine_name(sandbox, vm.name)}",
        f"--hostname={vm.name}",
        f"--network-bridge={bridge_name(sandbox)}",
        *("--link-journal=no", "--console=read-only", "--resolv-conf=off", "--timezone=off"),
        f"--setenv={process.TOLD}={pidfile(directory, vm.name)}",
    ]


def look_at_network(vm: Vm) -> str:
    """What this machine and the container know of each other, for the message that it does not answer."""
    inside = ["nsenter", f"--target={vm.pid}", "--net"]
    leader = subprocess.run(["pgrep", "--parent", str(vm.pid)], capture_output=True, text=True, check=False)
    if leader.stdout.split():
        inside[1] = f"--target={leader.stdout.split()[0]}"
    told = []
    for argv in (
        ["ip", "-brief", "link"],
        ["ip", "neighbour"],
        [*inside, "ip", "-brief", "address"],
        [*inside, "ip", "route"],
        [*inside, "ip", "neighbour"],
        [*inside, "ss", "-tan"],
    ):
        try:
            done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
            said = (done.stdout + done.stderr).strip()
        except subprocess.TimeoutExpired:
            said = "(no answer within 10 s)"
        told.append(f"\n$ {' '.join(argv)}\n{said}")
    return "".join(told)


def release(sandbox: str, directory: Path) -> None:
    """Undo ``prepare`` and unmount all there is below ``directory``. Nothing there is no error."""
    inotify.put_back(directory)
    unmount_below(directory)
    if Path("/sys/class/net", bridge_name(sandbox)).exists():
        with contextlib.suppress(SandboxError):
            _do("ip", "link", "delete", bridge_name(sandbox))


def group_name(here: Path) -> str:
    """Of the control group of the VM that lives in the directory ``here``."""
    return f"labctl-{zlib.crc32(str(here).encode()):08x}"


def clear(here: Path) -> None:
    """Take away what an ended VM leaves on this machine: mounts and its control group."""
    unmount_below(here)
    cgroups.remove(group_name(here))


def unmount_below(directory: Path) -> None:
    """Unmount everything mounted under ``directory``, the innermost first."""
    prefix = f"{directory}/"
    table = _MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    points = [line.split(" ")[4] for line in table.split("\n")[:-1]]
    for point in sorted((p for p in points if p.startswith(prefix)), key=len, reverse=True):
        # lazily: a process that is only just ending may still have a file open
        _do("umount", "--lazy", point)


def _do(*argv: str) -> None:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60
        )
    except subprocess.TimeoutExpired as err:
        raise SandboxError(f"{' '.join(argv)}: not done within 60 s") from err
    if done.returncode != 0:
        raise SandboxError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
