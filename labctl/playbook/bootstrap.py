"""A VM without python3 gets it: the agent needs nothing else, so this is the only command sent by shell."""

from __future__ import annotations

from labctl.connect import Connection
from labctl.deadline import Deadline
from labctl.errors import PythonMissing

# Without a list of packages there is nothing to install from, hence the second try.
_INSTALL = (
    "apt-get -qq -y install python3 >&2 || { apt-get -qq update >&2 && apt-get -qq -y install python3 >&2; }"
)
_SECONDS = 300.0


def install_python(connection: Connection, deadline: Deadline) -> None:
    """Install python3 with apt. Raises PythonMissing with apt's last words when that fails."""
    limit = deadline.sooner(_SECONDS)
    environment = "DEBIAN_FRONTEND=noninteractive"
    command = f"{environment} sh -c '{_INSTALL}'"
    stream = connection.execute(command if connection.is_root else f"sudo -n {command}", limit)
    try:
        status = stream.wait(limit)
        said = stream.stderr_tail().decode("utf-8", "replace").strip()
    finally:
        stream.close()
    if status != 0:
        last = said.splitlines()[-1] if said else f"status {status}"
        raise PythonMissing(
            f"there is no {connection.host.python} on the VM, and apt could not install it: {last}",
            hint="on the VM: sudo apt update && sudo apt install python3",
        )
