"""The agent's sources, packed to be sent over a channel."""

from __future__ import annotations

import functools
import json
import shlex
import threading
import zlib
from pathlib import Path

_ROOT = Path(__file__).parent / "remote"
_PACKAGE = "labctl_agent"
# Packing takes longer than connecting: the first of many hosts does it, the others wait for it.
_lock = threading.Lock()


@functools.cache
def _packed() -> tuple[bytes, str]:
    sources: dict[str, str] = {}
    packages: list[str] = []
    for path in sorted(_ROOT.rglob("*.py")):
        relative = path.relative_to(_ROOT)
        if relative.name == "loader.py":
            continue
        parts = [_PACKAGE, *relative.with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
            packages.append(".".join(parts))
        sources[".".join(parts)] = path.read_text(encoding="utf-8")
    loader = (_ROOT / "loader.py").read_text(encoding="utf-8")
    document = {"sources": sources, "package_names": packages}
    return zlib.compress(json.dumps(document).encode("utf-8"), 6), loader


def marker(nonce: str) -> bytes:
    """What the agent writes before its first frame."""
    return f"\x00labctl-agent:{nonce}\x00".encode("ascii")


def start_command(python: str, nonce: str, sudo: bool) -> tuple[str, bytes]:
    """The shell command that starts the agent, and the bytes to send to it first.

    ``python -I`` ignores the environment, the user's site directory and the working directory: a
    student's ``json.py`` must not be what the agent imports. ``-S`` leaves out the installed packages
    too, which the agent does not need. ``sudo -n`` never asks.
    """
    with _lock:
        packed, loader = _packed()
    first = f"marker = {marker(nonce)!r}\nimport json\nglobals().update(json.loads(payload))\n{loader}"
    code = zlib.compress(first.encode("utf-8"), 6)
    boot = (
        "import sys,zlib;r=sys.stdin.buffer.read;d=zlib.decompress;"
        f"payload=d(r({len(packed)}));exec(d(r({len(code)})))"
    )
    argv = [python, "-IS", "-c", boot]
    if sudo:
        argv = ["sudo", "-n", "--", *argv]
    return "LC_ALL=C exec " + shlex.join(argv), packed + code
