"""A slow link to a container: every packet waits, each way, as it would on the way to a distant VM, and
some never arrive.

Two tun devices, one here and one in the container's network namespace, and a process between them that
holds each packet back. They carry addresses of their own beside the container's, and the kernel removes
them when that process ends, however it ends. (netem does the same, but is not in every kernel.)
"""

from __future__ import annotations

import contextlib
import fcntl
import heapq
import os
import random
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterator

_TUNSETIFF = 0x400454CA
_IFF_TUN, _IFF_NO_PI = 0x0001, 0x1000
_MTU_AND_MORE = 1 << 16


@contextlib.contextmanager
def slow_link(pid: int, round_trip: float, loss: float = 0.0, seed: int = 0) -> Iterator[str]:
    """The address of the container whose process ``pid`` is, over a link of ``round_trip`` seconds.

    ``loss`` is the share of packets that is lost, each way; ``seed`` chooses which.
    """
    # names and addresses of its own, for several links at a time
    net = f"10.231.{pid % 256}"
    near, far = f"labctl-here{pid % 256}", f"labctl-there{pid % 256}"
    here, there = _tun(near), _tun(far)
    try:
        inside = ["nsenter", "-t", str(pid), "-n"]
        _do("ip", "link", "set", far, "netns", str(pid))
        for prefix, device, mine, other in (
            ([], near, f"{net}.1", f"{net}.2"),
            (inside, far, f"{net}.2", f"{net}.1"),
        ):
            _do(*prefix, "ip", "address", "add", mine, "peer", other, "dev", device)
            _do(*prefix, "ip", "link", "set", device, "up")
        how = [str(round_trip / 2), str(loss), str(seed)]
        code = [sys.executable, __file__, str(here), str(there), *how]
        process = subprocess.Popen(code, pass_fds=(here, there), stdin=subprocess.PIPE)
    finally:
        os.close(here)
        os.close(there)
    with process:
        try:
            yield f"{net}.2"
        finally:
            process.kill()


def _tun(name: str) -> int:
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return fd


def _do(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=10)


def carry(here: int, there: int, delay: float, loss: float, seed: int) -> None:
    """Carry packets both ways, each ``delay`` seconds after it came, until stdin ends."""
    dice = random.Random(seed)
    other = {here: there, there: here}
    held: list[tuple[float, int, int, bytes]] = []
    number = 0
    while True:
        wait = max(held[0][0] - time.monotonic(), 0) if held else None
        ready, _, _ = select.select([here, there, sys.stdin], [], [], wait)
        if sys.stdin in ready:
            return
        for fd in ready:
            number += 1
            packet = os.read(fd, _MTU_AND_MORE)
            if dice.random() < loss:
                continue
            heapq.heappush(held, (time.monotonic() + delay, number, other[fd], packet))
        while held and held[0][0] <= time.monotonic():
            _, _, fd, packet = heapq.heappop(held)
            os.write(fd, packet)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the benchmark's to handle: then stdin ends
    carry(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
