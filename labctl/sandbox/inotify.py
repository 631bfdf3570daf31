"""Room for many containers: how many inotify instances Linux lets a user have.

systemd and what it starts watch files by some eight of them in each container, all in root's name, and
Linux allows 128: the seventeenth container ends as it boots. The limit is of this machine, not of a process.
A higher one costs nothing by itself, so it is raised while there are containers, and put back after them.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from labctl.errors import SandboxError

LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
SYSCTL = "fs.inotify.max_user_instances"
_PROC = Path("/proc")
#: In the sandbox's directory: what the limit was, and what it was raised to.
_RECORD = "inotify"
#: What a container uses, counted with the lab done in it, and what is left over for everything else.
OF_A_CONTAINER = 8
_RESERVE = 32


def limit() -> int | None:
    """None where it cannot be told."""
    try:
        return int(LIMIT.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def in_use() -> int:
    """How many root's processes have open, those in containers too."""
    count = 0
    for process in _PROC.iterdir():
        # a process may end while it is looked at
        with contextlib.suppress(OSError):
            if process.name.isdigit() and process.stat().st_uid == 0:
                count += sum(_is_instance(one) for one in (process / "fd").iterdir())
    return count


def _is_instance(descriptor: Path) -> bool:
    with contextlib.suppress(OSError):
        return "inotify" in os.readlink(descriptor)  # noqa: PTH115 - it is no path
    return False


def room(allowed: int) -> int:
    """For how many more containers a limit of ``allowed`` has room."""
    return max(0, (allowed - in_use() - _RESERVE) // OF_A_CONTAINER)


def make_room(directory: Path, containers: int) -> str | None:
    """See that the sandbox in ``directory`` has room for so many more containers; what was done, if anything.

    Raises SandboxError with the command to type where the limit is too low and not ours to raise.
    """
    before = limit()
    if before is None:
        return None
    if room(before) >= containers:
        return None
    # on top of all that was allowed: other sandboxes may be about to use that
    wanted = before + containers * OF_A_CONTAINER + _RESERVE
    record = directory / _RECORD
    first = _recorded(record)
    # first the record, then the deed: what is raised is never forgotten
    record.write_text(f"{first[0] if first else before} {wanted}\n", encoding="ascii")
    try:
        LIMIT.write_text(f"{wanted}\n", encoding="ascii")
    except OSError as err:
        record.unlink()
        raise SandboxError(
            f"{containers} containers need {SYSCTL} of {wanted}: it is {before}, and not ours to raise "
            f"({err.strerror})",
            hint=f"on the machine itself: sysctl -w {SYSCTL}={wanted}; or fewer --students",
        ) from err
    return f"{SYSCTL} is raised from {before} to {wanted}, until labctl sandbox down"


def put_back(directory: Path) -> None:
    """Undo what ``make_room`` did, unless somebody has changed it since or has need of it."""
    record = directory / _RECORD
    raised = _recorded(record)
    if raised is None:
        return
    before, ours = raised
    if limit() == ours and in_use() + _RESERVE <= before:
        with contextlib.suppress(OSError):
            LIMIT.write_text(f"{before}\n", encoding="ascii")
    record.unlink(missing_ok=True)


def _recorded(record: Path) -> tuple[int, int] | None:
    try:
        before, ours = map(int, record.read_text(encoding="ascii").split())
    except (OSError, ValueError):
        return None
    return before, ours
