"""Which DNS servers this VM's own programs ask."""

from __future__ import annotations

import os
import re
from typing import Any

from ..command import run_command
from ..outcome import Context

RESOLV_CONF = "/etc/resolv.conf"
CAP = 65536


def run(_args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """Out: ``configured``, the servers of /etc/resolv.conf; ``behind``, those that systemd-resolved asks; and
    the ``link`` that resolv.conf is ("" for a file).
    """
    try:
        with open(RESOLV_CONF, "rb") as handle:
            text = handle.read(CAP).decode("utf-8", "replace")
    except OSError:
        text = ""
    said = run_command(["resolvectl", "--no-pager", "dns"], timeout=min(10.0, ctx.remaining()), cap=CAP)
    return {
        "configured": nameservers(text),
        "behind": servers(said.out) if said.ok else [],
        "link": os.path.realpath(RESOLV_CONF) if os.path.islink(RESOLV_CONF) else "",
    }


def nameservers(text: str) -> list[str]:
    """resolv.conf(5); without any the C library and dig ask 127.0.0.1."""
    return re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE)[:20] or ["127.0.0.1"]


def servers(text: str) -> list[str]:
    """``Link 2 (eth0): 10.0.0.2 fd00::2%3#name``: what stands after each line's first colon and blank."""
    found = []
    for line in text.splitlines():
        for word in line.partition(": ")[2].split():
            found.append(re.split(r"[%#]", word)[0])
    return list(dict.fromkeys(found))[:20]
