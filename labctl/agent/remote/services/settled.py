"""Wait until this VM is at rest: booted, its services started, and no run's undo at work on it."""

from __future__ import annotations

import time
from typing import Any

from ..command import run_command
from ..outcome import Context
from . import presence

#: Seconds between two looks.
EVERY = 0.5
#: Seconds after the end of a boot in which what it started may not answer yet; and for how long nothing may
#: have changed until it does.
FRESH = 60.0
STILL = 3.0
#: Seconds after which a processor that is never idle is taken for how this VM is.
BUSY = 20.0


class Stillness:
    """How long the same sockets have listened here, with a processor that mostly had nothing to do.

    systemd calls a simple service active when it has begun to start it: on a slow VM the program may take
    many seconds more until it answers, and a look in that time would find it missing.
    """

    def __init__(self) -> None:
        self.sockets: frozenset[str] = frozenset()
        self.changed = self.rested = 0.0
        self.times = (0, 0)

    def look(self, now: float, sockets: frozenset[str], times: tuple[int, int]) -> bool:
        """Whether it is still; ``times`` are the processors' ticks so far, idle ones and all."""
        idle, every = (new - old for new, old in zip(times, self.times))
        if not self.changed or sockets != self.sockets:
            self.sockets, self.changed, self.rested = sockets, now, now
        elif idle * 2 < every:
            self.rested = now
        self.times = times
        return now - self.rested >= STILL or now - self.changed >= BUSY


class Boot:
    """When the boot was over, on the monotonic clock; 0 as long as it is not."""

    def __init__(self) -> None:
        self.ended = 0.0

    def since(self, seconds: float) -> float:
        """Seconds since then. systemd is asked no more than it takes: on a slow VM that alone is work."""
        if not self.ended:
            argv = ["systemctl", "show", "--property=FinishTimestampMonotonic", "--value"]
            told = run_command(argv, timeout=max(1.0, seconds)).out.strip()
            # without systemd nobody can say, and there is nothing to wait for
            self.ended = int(told) / 1e6 if told.isdigit() else -FRESH
        return time.monotonic() - self.ended if self.ended else 0.0


# They last longer than one op: who waits asks again and again.
_boot, _stillness = Boot(), Stillness()


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``waits_for`` out: what is still under way at the op's deadline, or ""."""
    while True:
        waits_for = unrest(ctx.remaining())
        if not waits_for or ctx.remaining() < 1.0:
            return {"waits_for": waits_for}
        time.sleep(EVERY)


def unrest(seconds: float) -> str:
    if presence.at_work():
        return "the crash experiment of another run"
    if not presence.booted_lately() or _boot.since(seconds) >= FRESH:
        return ""
    still = _stillness.look(time.monotonic(), listening(), processor_times())
    return "" if _boot.ended and still else "its boot"


def listening() -> frozenset[str]:
    """The addresses of TCP sockets that listen, as the kernel writes them."""
    found: set[str] = set()
    for family in ("tcp", "tcp6"):
        try:
            with open("/proc/net/" + family) as table:
                rows = [line.split() for line in table.readlines()[1:]]
        except OSError:
            continue
        found.update(row[1] for row in rows if len(row) > 3 and row[3] == "0A")
    return frozenset(found)


def processor_times() -> tuple[int, int]:
    """Ticks since the boot: idle or waiting for a disk, and all."""
    try:
        with open("/proc/stat") as table:
            ticks = [int(word) for word in table.readline().split()[1:9]]
        return ticks[3] + ticks[4], sum(ticks)
    except (OSError, ValueError, IndexError):
        return 0, 0
