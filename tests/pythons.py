"""Other versions of Python on this machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def interpreter(name: str) -> str | None:
    """A Python of this version that works: pyenv puts names on the path that do not."""
    found = [shutil.which(name), *map(str, Path.home().glob(f".pyenv/versions/{name[6:]}.*/bin/python"))]
    for one in filter(None, found):
        if subprocess.run([one, "-c", ""], capture_output=True, check=False).returncode == 0:
            return one
    return None


def here(*versions: str) -> list[str]:
    """Those of these that are here, and our own, which shows the same promises where none is."""
    return [*filter(None, (interpreter(f"python{version}") for version in versions)), sys.executable]
