"""A VM without python3 gets it: the agent needs nothing else, so this is the only command sent by shell."""

from __future__ import annotations

from labctl.connect import open_connection
from labctl.deadline import Deadline
from labctl.errors import PythonMissing
from labctl.inventory import Host

# Without a list of packages there is nothing to install from, hence the second try.
_INSTALL = (
    "apt-get -qq -y install python3 >&2 || { apt-get -qq update >&2 && apt-get -qq -y install python3 >&2; }"
)
_SECONDS = 300.0


def install_python(host: Host, deadline: Deadline) -> None:
    """Install python3 with apt. Raises PythonMissing with apt's last words when that fails."""
    limit = deadline.sooner(_SECONDS)
    with_root = f"sh -c '{_INSTALL}'"
    connection = open_connection(host, limit)
    try:
        environment = "DEBIAN_FRONTEND=noninteractive"
        command = f"{environment} {with_root}" if connection.is_root else f"sudo -n {environment} {with_root}"
        stream = connection.execute(command, limit)
        try:
            status = stream.wait(limit)
            said = stream.stderr_tail().decode("utf-8", "replace").strip()
        finally:
            stream.close()
    finally:
        connection.close()
    if status != 0:
        last = said.splitlines()[-1] if said else f"status {status}"
        raise PythonMissing(
            f"there is no {host.python} on the VM, and apt could not install it: {last}",
            hint="on the VM: sudo apt update && sudo apt install python3",
        )
