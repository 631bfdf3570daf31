"""A real HAProxy before real worker processes on this machine, on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from waiting import wait_for

WORKERS = Path(__file__).with_name("workers.py")
HAPROXY = "/usr/sbin/haproxy"

CONFIG = """\
global
  stats socket {socket} mode 600 level admin
defaults
  mode http
  timeout connect 1s
  timeout client 5s
  timeout server 5s
listen stats
  bind 127.0.0.1:{stats}
  stats enable
  stats uri /stats
frontend door
  bind 127.0.0.1:{door}
  default_backend kitchen
backend kitchen
  balance {balance}
{servers}
"""


@dataclass
class Balanced:
    """``first`` is worker 0's port."""

    folder: Path
    first: int
    door: int
    stats: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def ports(self) -> list[int]:
        return list(range(self.first, self.first + 6))

    def start_workers(self, linger: float = 0.05, prefix: Sequence[str] = ()) -> subprocess.Popen[bytes]:
        """As a student would: from a directory of its own, output to a file, a variable of its own.

        ``linger`` is how many seconds a worker goes on after it said that it crashes; ``prefix`` is a command
        that starts it.
        """
        with (self.folder / "out.log").open("ab") as out:
            process = subprocess.Popen(
                [*prefix, sys.executable, str(WORKERS), str(self.first), str(linger)],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "LAB_SECRET": "swordfish"},
                start_new_session=True,
            )
        self.processes.append(process)
        wait_for(lambda: listening(self.ports) == set(self.ports), "six workers")
        return process

    def start_balancer(
        self, balance: str = "roundrobin", check: str = "check inter 100ms", each: str = ""
    ) -> None:
        """``each`` has a word for every server's line: "weight=3 weight=1 ..."."""
        own = [word.replace("=", " ") for word in each.split()] or [""] * 6
        servers = "\n".join(
            f"  server s{n} 127.0.0.1:{self.first + n} {check} {own[n]}".rstrip() for n in range(6)
        )
        config = self.folder / "haproxy.cfg"
        config.write_text(
            CONFIG.format(
                socket=self.folder / "admin.sock",
                stats=self.stats,
                door=self.door,
                balance=balance,
                servers=servers,
            )
        )
        self.processes.append(
            subprocess.Popen([HAPROXY, "-db", "-f", str(config)], stdout=subprocess.DEVNULL)
        )
        wait_for(lambda: listening([self.door, self.stats]) == {self.door, self.stats}, "haproxy")

    @property
    def socket_line(self) -> str:
        return f"stats socket {self.folder / 'admin.sock'}"

    @property
    def watched(self) -> bool:
        """The watcher of an experiment with these workers lives."""
        return "-".join(map(str, self.ports)).encode() in Path("/proc/net/unix").read_bytes()

    def stop(self) -> None:
        """End everything that serves one of our ports, whoever started it, and our own children."""
        try:
            # shortly after its agent; the next test has the same ports
            wait_for(lambda: not self.watched, "the watcher ends")
        finally:
            for process in self.processes:
                process.kill()
                process.wait()
            # A parent starts its killed workers again, and nobody's child is not in the list
            wait_for(lambda: not self._killed(), "no process of this test left")

    def _killed(self) -> set[int]:
        ours = holders([*self.ports, self.door, self.stats]) | running(WORKERS, self.first)
        for pid in ours:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return ours


@contextmanager
def balanced(folder: Path) -> Iterator[Balanced]:
    first = free_block(6)
    door, stats = free_block(2, avoid=range(first, first + 6)), 0
    stats = door + 1
    made = Balanced(folder, first, door, stats)
    try:
        yield made
    finally:
        made.stop()


def free_block(count: int, avoid: range = range(0)) -> int:
    """The first of ``count`` free ports in a row."""
    for first in range(21000 + os.getpid() % 500 * 20, 60000, 10):
        if first in avoid or first + count - 1 in avoid:
            continue
        links = []
        try:
            for port in range(first, first + count):
                link = socket.socket()
                links.append(link)
                link.bind(("127.0.0.1", port))
            return first
        except OSError:
            continue
        finally:
            for link in links:
                link.close()
    raise AssertionError("no free ports")


def listening(ports: list[int]) -> set[int]:
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] == "0A":
            found.add(int(fields[1].split(":")[1], 16))
    return found & set(ports)


def holders(ports: list[int]) -> set[int]:
    from labctl.agent.remote.probes.sockets import listeners

    return {row["pid"] for row in listeners() if row["port"] in ports and row["pid"]}


def running(program: Path, first: int) -> set[int]:
    """The processes of ``program`` that serve from port ``first`` on, workers and their parents."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if bytes(program) in words and str(first).encode() in words:
                found.add(int(entry.name))
    return found
