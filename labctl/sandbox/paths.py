"""Where the sandbox keeps its files: images under the user's cache, one directory per sandbox under state."""

from __future__ import annotations

import os
import re
from pathlib import Path

from labctl.errors import SandboxError

DEFAULT_NAME = "default"
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,30}")


def sandbox_name(name: str | None = None) -> str:
    """The sandbox meant: ``name``, else ``LABCTL_SANDBOX``, else ``default``. SandboxError if no name."""
    chosen = name or os.environ.get("LABCTL_SANDBOX") or DEFAULT_NAME
    if not NAME.fullmatch(chosen):
        raise SandboxError(
            f"{chosen!r} cannot name a sandbox",
            hint="use 1 to 31 lower-case letters, digits, - and _ (LABCTL_SANDBOX)",
        )
    return chosen


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    # the XDG specification: a relative path is to be ignored
    return Path(value) if value.startswith("/") else Path.home() / fallback


def cache_dir() -> Path:
    """Images and what was learnt about this machine; may be deleted at any time when no VM runs."""
    return _xdg("XDG_CACHE_HOME", ".cache") / "labctl"


def state_dir() -> Path:
    """What labctl remembers between runs for this user."""
    return _xdg("XDG_STATE_HOME", ".local/state") / "labctl"


def sandboxes_dir() -> Path:
    return state_dir() / "sandbox"


def sandbox_dir(name: str) -> Path:
    """Everything of one sandbox: its keys, inventory, state and a directory per VM."""
    return sandboxes_dir() / name
