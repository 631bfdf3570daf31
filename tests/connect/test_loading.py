"""What importing paramiko brings along."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def told(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_invoke_is_not_loaded() -> None:
    heavy = "('invoke.context', 'asyncio', 'unittest')"
    load = "import sys; from labctl.connect import loading; loading.begin(); loading.wait();"
    assert (
        told(f"{load} print([m for m in {heavy} if m in sys.modules], 'paramiko' in sys.modules)")
        == "[] True"
    )


def test_who_uses_invoke_has_it() -> None:
    load = "from labctl.connect import loading; loading.begin(); loading.wait();"
    use = "import invoke.runners; from invoke import run; print(run('echo here', hide=True).stdout)"
    assert told(f"{load} {use}") == "here"


def test_whoever_fails_at_once_ends_in_order(tmp_path: Path) -> None:
    """Nobody listens there, and paramiko is still being loaded when that is known."""
    inventory = tmp_path / "i.yml"
    inventory.write_text("all: {hosts: {vm: {ansible_host: 127.0.0.1, ansible_port: 1}}}\n")
    argv = [sys.executable, "-m", "labctl", "hosts", "ping", "vm", "-i", str(inventory)]
    found = [subprocess.run(argv, capture_output=True, text=True, check=False) for _ in range(5)]
    assert [one.returncode for one in found] == [3] * 5, found[0].stderr
