"""Local VMs to try labs on: QEMU machines on this computer, made, reached, put back and removed here.

>>> box = Sandbox.open()                       # or Sandbox.open("test")
>>> box.up(students=1)                         # PosixPath('.../sandbox/default/inventory.yml')
>>> box.run("student1", "hostname -f").stdout  # 'student1.decal.xcf.sh\\n'
>>> box.snapshot("student1", "bare"); box.restore("student1", "bare")
>>> box.down()

Everything but the names below is private to this room. Errors are ``labctl.errors.SandboxError``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import SandboxError
from labctl.sandbox import paths, state

if TYPE_CHECKING:
    from labctl.sandbox.box import Sandbox, Status, VmStatus
    from labctl.sandbox.progress import Progress, Reporter
    from labctl.sandbox.ssh import Finished

__all__ = ["Finished", "Progress", "Reporter", "Sandbox", "Status", "VmStatus", "current_inventory"]

# Loaded on first use: every labctl command asks for current_inventory, few for the rest
_HOME = {
    "Finished": "ssh",
    "Progress": "progress",
    "Reporter": "progress",
    "Sandbox": "box",
    "Status": "box",
    "VmStatus": "box",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)


def current_inventory() -> Path | None:
    """The inventory of the sandbox in use (LABCTL_SANDBOX, else ``default``) if all its VMs run, else None.

    Reads one small file and a few of /proc's; a name that cannot be a sandbox's has no inventory.
    """
    try:
        directory = paths.sandbox_dir(paths.sandbox_name())
    except SandboxError:
        return None
    return directory / state.INVENTORY if state.is_up(directory) else None
