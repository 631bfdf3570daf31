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

from labctl.errors import SandboxError
from labctl.sandbox.box import Sandbox, Status, VmStatus
from labctl.sandbox.progress import Progress, Reporter
from labctl.sandbox.ssh import Finished

__all__ = ["Finished", "Progress", "Reporter", "Sandbox", "Status", "VmStatus", "current_inventory"]


def current_inventory() -> Path | None:
    """The inventory of the sandbox in use (LABCTL_SANDBOX, else ``default``) if all its VMs run, else None.

    Reads one small file and a few of /proc's; a name that cannot be a sandbox's has no inventory.
    """
    try:
        box = Sandbox.open()
    except SandboxError:
        return None
    return box.inventory_path if box.is_up() else None
