"""The VM's own names and addresses."""

from __future__ import annotations

import json
import socket
from typing import Any

from ..command import run_command
from ..outcome import Context
from .asking import PACKAGED


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``hostname``, ``fqdn`` and ``addresses`` (IPv4 and IPv6, no loopback)."""
    addresses = []
    done = run_command(["ip", "-j", "address"], timeout=ctx.remaining(), env={"PATH": PACKAGED})
    if done.rc == 0:
        try:
            for link in json.loads(done.out):
                for entry in link.get("addr_info", []):
                    if entry.get("scope") != "host":
                        addresses.append(str(entry.get("local", "")))
        except (ValueError, AttributeError, TypeError):
            addresses = []
    # getfqdn() asks the VM's resolver, which may be broken and slow: hostname -f is cut off in time
    named = run_command(["hostname", "-f"], timeout=min(5.0, ctx.remaining()), env={"PATH": PACKAGED})
    fqdn = named.out.strip() if named.rc == 0 else ""
    return {"hostname": socket.gethostname(), "fqdn": fqdn, "addresses": addresses[:64]}
