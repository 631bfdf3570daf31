"""labctl.pyz, on a VM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from labctl.sandbox import Sandbox

ROOT = Path(__file__).parent.parent.parent


def put_on(box: Sandbox, vm: str, folder: Path) -> None:
    """Build it in ``folder`` and copy it to the home of the VM's user."""
    target = folder / "labctl.pyz"
    build = [sys.executable, str(ROOT / "scripts" / "pyz" / "build.py"), "-o", str(target)]
    subprocess.run(build, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, capture_output=True)
    copy = [*box.ssh_argv(vm, batch=True), "cat > labctl.pyz"]
    subprocess.run(copy, input=target.read_bytes(), check=True, timeout=60)
