"""``~`` and environment variables in a task's paths, filled in where the paths are."""

from __future__ import annotations

import os
import re
from typing import Any


def filled(args: dict[str, Any]) -> dict[str, Any]:
    """The arguments with those paths filled in that ``_paths`` names: there may be something in them."""
    names = args.get("_paths")
    if not names:
        return args
    environment = args.get("_environment")
    return dict(args, **{name: expanded(args[name], environment) for name in names})


def expanded(path: str, environment: Any = None) -> str:
    """The path as Ansible reads every path argument: variables first, the task's own among them."""
    known = dict(os.environ, **(environment or {}))

    def value(found: re.Match[str]) -> str:
        return str(known.get(found.group(1).strip("{}"), found.group()))

    path = re.sub(r"\$(\w+|\{[^}]*\})", value, path)
    home = known.get("HOME")
    if home and (path == "~" or path.startswith("~/")):
        return str(home).rstrip("/") + path[1:] or "/"
    return os.path.expanduser(path)
