"""A control group of its own for each container.

systemd in a container kills what is left of a service by the service's control group. Containers that are
started side by side in one group of this machine have their services' groups in common, and systemd then
stumbles over the others' processes: it sees their number as 0, and kills nothing.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

_MOUNTS = Path("/proc/self/mountinfo")
_OWN = Path("/proc/self/cgroup")

#: Moves itself into the groups named before ``--`` and becomes the command after it.
ENTER = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs" || exit; shift; done; shift; exec "$@"'


def make(name: str) -> list[Path]:
    """New groups called ``name`` below our own, in each hierarchy that systemd uses; none where this machine
    does not let us make any.
    """
    made = []
    for parent in _parents():
        group = parent / name
        with contextlib.suppress(OSError):
            group.mkdir(exist_ok=True)
            made.append(group)
    return made


def remove(name: str) -> None:
    """Remove the groups called ``name`` with those below them; what still has processes stays."""
    for parent in _parents():
        group = parent / name
        below = [path for path in group.rglob("*") if path.is_dir()]
        for path in (*sorted(below, key=lambda path: -len(path.parts)), group):
            with contextlib.suppress(OSError):
                path.rmdir()


def _parents() -> list[Path]:
    """Our own group in the unified hierarchy and in systemd's named one, where they are mounted."""
    own = {}
    for line in _OWN.read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        own[controllers] = path.lstrip("/")
    found = []
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").split("\n"):
        head, _, tail = line.partition(" - ")
        kind, _, options = tail.partition(" ")
        if kind == "cgroup2":
            found.append(Path(head.split(" ")[4], own.get("", "")))
        elif kind == "cgroup" and "name=systemd" in options.split()[-1].split(","):
            found.append(Path(head.split(" ")[4], own.get("name=systemd", "")))
    return found
