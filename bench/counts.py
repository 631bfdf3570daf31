"""The short form: what a run costs in logins, sessions and round trips, as the machine itself counts them.

No time is taken, so a busy machine gives the same answer.
"""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import peers
from machine import Machine

#: In sshd's and sudo's words, a line for each.
LOGIN, SESSION, SUDO = "Accepted publickey", "Starting session", "COMMAND="


@dataclass(frozen=True)
class Counts:
    """What ``hosts`` hosts cost together; ``round_trips`` and ``tasks`` are labctl's own word."""

    hosts: int
    logins: int
    sessions: int
    sudos: int
    round_trips: int
    tasks: int
    changed: int


def count(machine: Machine, inventory: Path) -> Counts:
    """Run labctl over ``inventory``, whose hosts are all ``machine``, and count."""
    before = journal(machine)
    argv = [*peers.labctl(inventory).argv, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    after = journal(machine)
    hosts: list[dict[str, Any]] = json.loads(done.stdout)["hosts"]
    tasks = [task for host in hosts for task in host["tasks"]]
    # the second look at the journal came by a login of its own
    logins, sessions, sudos = (after[word] - before[word] - 1 for word in (LOGIN, SESSION, SUDO))
    return Counts(
        hosts=len(hosts),
        logins=logins,
        sessions=sessions,
        sudos=sudos,
        round_trips=sum(host["round_trips"] for host in hosts),
        tasks=len(tasks),
        changed=sum(task["status"] == "changed" for task in tasks),
    )


def journal(machine: Machine) -> dict[str, int]:
    """What the machine has counted since it booted; this look came by a login and a session of its own."""
    # what was said before this, also of this look itself, may still be on its way into the journal
    text = machine.do("sudo sh -c 'journalctl --sync && journalctl -q -b -t sshd -t sudo -o cat'")
    return {word: sum(word in line for line in text.splitlines()) for word in (LOGIN, SESSION, SUDO)}
