"""The systems that the sandbox's VMs can run, and all that differs between them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from labctl.errors import SandboxError

KEYS = Path(__file__).parent / "keys"


@dataclass(frozen=True)
class Release:
    """One system. ``name`` is what users type, and the archive's own name for it; ``label`` what they read.

    ``archive`` and ``security`` are where it comes from when this machine has no mirror of its own.
    ``kernel`` is the package that depends on the newest kernel's; ``kernel_files`` are lines of: a package,
    without the kernel's version, and patterns of the files wanted of it. ``key`` signs the archive; without
    one the keys of this machine's apt count.
    """

    name: str
    label: str
    archive: str
    security: str
    components: tuple[str, ...]
    kernel: str
    kernel_files: tuple[tuple[str, ...], ...]
    key: Path | None = None

    @property
    def archives(self) -> dict[str, str]:
        """Suite -> the archive that it is in."""
        return {
            self.name: self.archive,
            f"{self.name}-updates": self.archive,
            f"{self.name}-security": self.security,
        }

    @property
    def guest_sources(self) -> str:
        """The VM's own sources.list."""
        components = " ".join(self.components)
        return "".join(f"deb {uri} {suite} {components}\n" for suite, uri in self.archives.items())


BOOKWORM = Release(
    name="bookworm",
    label="Debian 12",
    archive="http://deb.debian.org/debian",
    security="http://deb.debian.org/debian-security",
    components=("main",),
    kernel="linux-image-cloud-amd64",
    kernel_files=(("linux-image", "./boot/vmlinuz*", "./lib/modules/*"),),
)
JAMMY = Release(
    name="jammy",
    label="Ubuntu 22.04",
    archive="http://archive.ubuntu.com/ubuntu",
    security="http://security.ubuntu.com/ubuntu",
    # python3-tornado and dnsmasq are in universe
    components=("main", "universe"),
    kernel="linux-image-virtual",
    kernel_files=(
        ("linux-image", "./boot/vmlinuz*"),
        ("linux-modules", "./lib/modules/*"),
        # the seed comes by it; of the rest of the package, mostly drivers, no VM here has use
        ("linux-modules-extra", "./lib/modules/*/qemu_fw_cfg.ko"),
    ),
    # the "Ubuntu Archive Automatic Signing Key (2018)": Debian packages no keyring of Ubuntu's
    key=KEYS / "ubuntu-archive-2018.asc",
)
DEFAULT = BOOKWORM
RELEASES = {release.name: release for release in (BOOKWORM, JAMMY)}


def named(name: str) -> Release:
    """The release called ``name``. SandboxError that says which there are."""
    if name not in RELEASES:
        known = " and ".join(f"{one.name} ({one.label})" for one in RELEASES.values())
        raise SandboxError(f"the sandbox has no release {name!r}", hint=f"there are {known}")
    return RELEASES[name]
