"""How long a playbook's connections last."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from playing import write

from labctl.inventory import Inventory
from labctl.inventory.model import local_host
from labctl.playbook import RunOptions, TaskResult, load_playbook, run_playbook


def ends(pid: int, seconds: float = 20) -> bool:
    until = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until:
        time.sleep(0.02)
    return not Path(f"/proc/{pid}").exists()


class Watching:
    """Knows the agent that did each task, and whether the first VM's has gone when the second is at work."""

    def __init__(self) -> None:
        self.agents: list[tuple[str, str]] = []
        self.first_has_gone = False

    def play(self, name: str, hosts: Sequence[str]) -> None: ...

    def began(self, host: str) -> None: ...

    def ended(self, host: str, summary: Mapping[str, Any]) -> None: ...

    def host_lost(self, host: str, cause: str, message: str, hint: str) -> None: ...

    def task(self, host: str, result: TaskResult) -> None:
        self.agents.append((host, result.stdout))
        if len(self.agents) == 2:
            self.first_has_gone = ends(int(self.agents[0][1]))


def test_a_vm_is_let_go_when_its_last_play_is_over(tmp_path: Path) -> None:
    """Of hundreds, those that are done do not stay connected until the slowest is."""
    hosts = [local_host("one"), local_host("two")]
    path = write(
        tmp_path,
        """
        - hosts: all
          tasks: [{shell: echo $PPID}]
        - hosts: two
          tasks: [{shell: echo $PPID}]
        """,
    )
    made, seen = Inventory({host.name: host for host in hosts}, {}), Watching()
    result = run_playbook(load_playbook(path), made, hosts, RunOptions(forks=1), seen)
    assert [host.connections for host in result.hosts] == [1, 1]
    assert [host for host, _ in seen.agents] == ["one", "two", "two"]
    assert seen.agents[1] == seen.agents[2], "one connection for both plays"
    assert seen.first_has_gone
