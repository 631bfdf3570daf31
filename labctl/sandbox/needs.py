"""What a machine must have for labctl and its sandbox, and the command that mends what is missing."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from labctl.sandbox import accel, inotify, paths

PROGRAMS = (
    # program, Debian package, what for
    ("qemu-system-x86_64", "qemu-system-x86", "runs the VMs"),
    ("qemu-img", "qemu-utils", "makes the VMs' disks"),
    ("mmdebstrap", "mmdebstrap", "builds the VMs' image"),
    ("mkfs.ext4", "e2fsprogs", "builds the VMs' image"),
    ("depmod", "kmod", "builds the VMs' image"),
    ("ssh", "openssh-client", "reaches the VMs"),
    ("ssh-keygen", "openssh-client", "makes the VMs' keys"),
)
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUBUID = Path("/etc/subuid")
SUBGID = Path("/etc/subgid")
MEMINFO = Path("/proc/meminfo")
PYTHON = (3, 11)
# image 0.4 GB, as much again while it is built, two VMs' disks and snapshots 1 GB
DISK_GB = 2.0
# two VMs of 448 MB with QEMU's own
MEMORY_GB = 1.3
#: One lab's: the staff's and two students'.
FEW_CONTAINERS = 3
_GB = 1e9


@dataclass(frozen=True)
class Need:
    """One thing looked for. ``mend`` is a shell command (or a sentence where none does); empty if ``ok``."""

    name: str
    ok: bool
    found: str
    mend: str = ""
    package: str = ""


def examine() -> list[Need]:
    """Everything the sandbox needs, in the order in which it is used; takes well under a second."""
    needs = [_python(), *map(_program, PROGRAMS), _keyring()]
    if os.geteuid() != 0:
        needs += [_subids(), _namespaces()]
    elif _which("systemd-nspawn") is not None:
        needs.append(containers_need())
    return [*needs, _disk(), _memory()]


def mend_command(needs: list[Need]) -> str:
    """One apt-get line for all missing packages; empty if none is missing."""
    packages = sorted({need.package for need in needs if not need.ok and need.package})
    if not packages:
        return ""
    return f"{_sudo()}apt-get install -y --no-install-recommends {' '.join(packages)}"


def acceleration() -> str:
    """What VMs run on, in words; nothing is missing where it is TCG, only slower."""
    if not accel.KVM.exists():
        return "TCG (no /dev/kvm): VMs run about ten times slower than with KVM"
    if not os.access(accel.KVM, os.R_OK | os.W_OK):
        return "TCG (/dev/kvm is not yours to use; being in group kvm would allow it)"
    known = accel.remembered(paths.cache_dir())
    if known == "kvm":
        return "KVM (it has booted a kernel)"
    if known == "tcg":
        return "TCG (/dev/kvm is there, but booted no kernel within 10 s)"
    return "/dev/kvm is there; 'labctl sandbox up' will try whether it boots a VM, else TCG is used"


def _sudo() -> str:
    return "" if os.geteuid() == 0 else "sudo "


def _which(program: str) -> str | None:
    # an ordinary user's PATH on Debian lacks the sbin directories
    return shutil.which(program) or shutil.which(program, path="/usr/local/sbin:/usr/sbin:/sbin")


def _program(entry: tuple[str, str, str]) -> Need:
    program, package, purpose = entry
    path = _which(program)
    if path is not None:
        return Need(program, True, path)
    mend = f"{_sudo()}apt-get install -y --no-install-recommends {package}"
    return Need(program, False, f"not found; {purpose}", mend, package)


def _python() -> Need:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= PYTHON:
        return Need("python", True, version)
    return Need("python", False, f"{version}, too old", "use Python 3.11 or newer (Debian 12 has it)")


def _keyring() -> Need:
    package = "debian-archive-keyring"
    if KEYRING.exists():
        return Need(package, True, str(KEYRING))
    mend = f"{_sudo()}apt-get install -y --no-install-recommends {package}"
    return Need(package, False, "not found; checks what the image is built from", mend, package)


def _subids() -> Need:
    """To build the image an ordinary user needs a range of further user ids, and newuidmap to use it."""
    name = "subordinate ids"
    if _which("newuidmap") is None:
        mend = f"{_sudo()}apt-get install -y --no-install-recommends uidmap"
        return Need(name, False, "newuidmap not found", mend, "uidmap")
    user = pwd.getpwuid(os.geteuid()).pw_name
    missing = [str(file) for file in (SUBUID, SUBGID) if not _mentions(file, user)]
    if missing:
        mend = f"sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}"
        return Need(name, False, f"{user} is not in {' nor '.join(missing)}", mend)
    return Need(name, True, f"for {user} in {SUBUID} and {SUBGID}")


def _mentions(file: Path, user: str) -> bool:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.split(":")[0] in {user, str(os.geteuid())} for line in lines)


def _namespaces() -> Need:
    name = "unprivileged user namespaces"
    program = _which("unshare")
    if program is None:
        return Need(name, False, "unshare not found", "sudo apt-get install -y util-linux", "util-linux")
    done = subprocess.run(
        [program, "--user", "--map-root-user", "true"],
        capture_output=True,
        stdin=subprocess.DEVNULL,
        check=False,
        timeout=10,
    )
    if done.returncode == 0:
        return Need(name, True, "allowed")
    settings = {
        "kernel.unprivileged_userns_clone": "1",
        "kernel.apparmor_restrict_unprivileged_userns": "0",
        "user.max_user_namespaces": "15000",
    }
    wrong = [
        f"{key}={value}" for key, value in settings.items() if Path("/proc/sys", *key.split(".")).exists()
    ]
    return Need(name, False, "not allowed; the image is built in one", f"sudo sysctl -w {' '.join(wrong)}")


def containers_need() -> Need:
    """For how many containers there is room, and whether ``labctl sandbox up`` can make more."""
    name = "inotify instances"
    limit = inotify.limit()
    if limit is None:
        return Need(name, True, "unknown")
    room = inotify.room(limit)
    if os.access(inotify.LIMIT, os.W_OK):
        return Need(name, True, f"{limit}, room for {room} more containers; raised for a class of them")
    if room >= FEW_CONTAINERS:
        return Need(name, True, f"{limit}, room for {room} more containers")
    found = f"{limit}, room for {room} more containers, and /proc/sys is read-only here"
    return Need(name, False, found, f"sysctl -w {inotify.SYSCTL}=1024")


def _existing(path: Path) -> Path:
    return next(parent for parent in (path, *path.parents) if parent.exists())


def _disk() -> Need:
    """The scarcer of the two places that files go to."""
    places = {_existing(paths.cache_dir()), _existing(paths.sandboxes_dir())}
    free, place = min((shutil.disk_usage(place).free / _GB, place) for place in places)
    if free >= DISK_GB:
        return Need("disk space", True, f"{free:.0f} GB free in {place}")
    mend = f"make room in {place}, or set XDG_CACHE_HOME and XDG_STATE_HOME to where there is some"
    return Need("disk space", False, f"{free:.1f} GB free in {place}, {DISK_GB:.0f} GB wanted", mend)


def _memory() -> Need:
    try:
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        available = (
            next(int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")) * 1024 / _GB
        )
    except (OSError, StopIteration, ValueError):
        return Need("memory", True, "unknown")
    if available >= MEMORY_GB:
        return Need("memory", True, f"{available:.1f} GB available")
    mend = "close other programs: two VMs take 448 MB each"
    return Need("memory", False, f"{available:.1f} GB available, {MEMORY_GB} GB wanted", mend)
