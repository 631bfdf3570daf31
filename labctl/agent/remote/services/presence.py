"""Whether this machine is at rest: booted, and with no run's experiment under way.

The experiment's watcher holds an abstract socket's name, which the kernel gives to one process at a time and
takes back when that ends, however it ends. So other graders see that the workers are not to be judged now,
and cannot begin an experiment of their own.
"""

from __future__ import annotations

#: Seconds in which a boot may still be under way, on an emulated VM beside others too.
BOOTING = 300.0
#: Of the abstract socket, and then the ports.
NAME = "labctl-undo-"


def at_work() -> bool:
    """Some run's watcher lives: what that run broke may not be mended yet."""
    try:
        # others' names may be any bytes
        with open("/proc/net/unix", encoding="utf-8", errors="replace") as handle:
            return any(" @" + NAME in line for line in handle)
    except OSError:
        return False


def booted_lately() -> bool:
    """Services may still be about to start."""
    try:
        with open("/proc/uptime") as handle:
            return float(handle.read().split()[0]) < BOOTING
    except (OSError, ValueError, IndexError):
        return False
