"""What dpkg knows, read from its own files: what is installed, who holds its lock, what was cut off."""

from __future__ import annotations

import fcntl
import fnmatch
import os
import re
import struct
import time
from typing import Any

from .outcome import Context, Failed

STATUS = "/var/lib/dpkg/status"
UPDATES = "/var/lib/dpkg/updates"
LOCKS = ("/var/lib/dpkg/lock-frontend", "/var/lib/dpkg/lock", "/var/cache/apt/archives/lock")
LISTS_LOCK = "/var/lib/apt/lists/lock"


class Packages:
    """dpkg's database at one moment."""

    def __init__(
        self, installed: dict[str, str], provided: set[str], halfway: list[str], config: set[str]
    ) -> None:
        self.installed = installed  # name -> version
        self.provided = provided  # virtual names that installed packages provide
        self.halfway = halfway  # unpacked, half-configured, half-installed
        self.config = config  # removed, configuration files left

    def matching(self, name: str) -> list[str]:
        """Installed packages that ``name``, perhaps with wildcards, means."""
        if any(sign in name for sign in "*?["):
            return fnmatch.filter(self.installed, name)
        return [name] if name in self.installed else []

    def has(self, spec: str) -> bool:
        """Whether ``name``, ``name=version`` or ``name:arch`` is installed."""
        name, _, version = spec.partition("=")
        name = name.partition("/")[0].partition(":")[0]
        found = self.matching(name)
        if version:
            return any(fnmatch.fnmatch(self.installed[one], version) for one in found)
        return bool(found) or name in self.provided

    def only_provided(self, spec: str) -> bool:
        """Whether no package of that name is installed, but one that provides it."""
        return spec in self.provided and spec not in self.installed


_cache: dict[str, tuple[tuple[int, int], Packages]] = {}


def packages(path: str = STATUS) -> Packages:
    """The database, read again only when it has changed."""
    try:
        info = os.stat(path)
    except OSError as err:
        raise Failed("this VM has no dpkg database (%s): is it a Debian?" % path) from err
    stamp = (info.st_mtime_ns, info.st_size)
    if path in _cache and _cache[path][0] == stamp:
        return _cache[path][1]
    with open(path, encoding="utf-8", errors="replace") as file:
        found = parse_status(file.read())
    _cache[path] = (stamp, found)
    return found


_FIELD = re.compile(r"^(Package|Status|Version|Provides): *(.*)$", re.MULTILINE)


def parse_status(text: str) -> Packages:
    """dpkg's status file: stanzas with Package, Status (want, error, state), Version, Provides."""
    installed: dict[str, str] = {}
    provided: set[str] = set()
    halfway: list[str] = []
    config: set[str] = set()
    for stanza in text.split("\n\n"):
        fields: dict[str, Any] = dict(_FIELD.findall(stanza))
        status = fields.get("Status", "").split()
        if "Package" not in fields or len(status) != 3:
            continue
        name = fields["Package"]
        if status[2] in ("installed", "triggers-pending", "triggers-awaited"):
            installed[name] = fields.get("Version", "")
            for one in fields.get("Provides", "").split(","):
                provided.add(one.split("(")[0].strip())
        elif status[2] == "config-files":
            config.add(name)
        elif status[2] in ("unpacked", "half-configured", "half-installed"):
            halfway.append(name)
        if status[1] == "reinstreq" and name not in halfway:
            halfway.append(name)
    provided.discard("")
    return Packages(installed, provided, halfway, config)


def interrupted(updates: str = UPDATES) -> bool:
    """Whether dpkg was cut off: it leaves numbered files behind."""
    try:
        return any(name.isdigit() for name in os.listdir(updates))
    except OSError:
        return False


# -- locks ---------------------------------------------------------------------------------------


def holder(path: str) -> int:
    """The process that holds the lock file, 0 for none, -1 for one that cannot be named."""
    try:
        fd = os.open(path, os.O_RDWR)
    except OSError:
        return 0
    try:
        # struct flock: type, whence, start, len, pid; the kernel fills in who is in the way.
        asked = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
        answer = struct.unpack("hhqqi4x", fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return 0 if answer[0] == fcntl.F_UNLCK else (answer[4] or -1)


def describe(pid: int) -> str:
    """A process in words: its number and command line."""
    if pid <= 0:
        return "a process that cannot be seen from here"
    try:
        with open("/proc/%d/cmdline" % pid, "rb") as file:
            words = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        words = ""
    return "process %d (%s)" % (pid, words[:120] or "?")


def wait_for_locks(seconds: float, ctx: Context, locks: tuple[str, ...] | None = None) -> float:
    """Wait until nobody holds apt's and dpkg's locks; returns how long it took.

    Raises Failed naming the holder when they are still held after ``seconds``.
    """
    started = time.monotonic()
    locks = LOCKS if locks is None else locks
    while True:
        held = [(path, pid) for path, pid in ((path, holder(path)) for path in locks) if pid]
        waited = time.monotonic() - started
        if not held:
            return waited
        if waited >= seconds or ctx.remaining() < 5:
            path, pid = held[0]
            raise Failed(
                "apt is in use: %s holds %s, still after %.0f s; wait for it, or give lock_timeout more"
                % (describe(pid), path, waited),
                holder=pid,
            )
        time.sleep(min(1.0, max(0.1, seconds - waited)))
