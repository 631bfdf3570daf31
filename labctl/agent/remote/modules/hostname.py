"""hostname: the name that systemd gives this VM, now and at every start."""

from __future__ import annotations

import os
import re
import socket
from typing import Any

from ..command import run_command
from ..outcome import Context, Failed

# Where the permanent name is; hostnamectl itself reads it there.
STATIC = "/etc/hostname"
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$")


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    name = args["name"]
    if len(name) > 64:
        raise Failed("name cannot be longer than 64 characters on systemd servers, try a shorter name")
    if not _NAME.match(name):
        raise Failed("%r is not a host name: letters, digits, hyphens and dots are" % name)
    now, permanent = os.uname().nodename, _permanent()
    changed = now != name or permanent != name
    if permanent != name and not ctx.check:
        _hostnamectl(["--pretty", "--static", "set-hostname", name], ctx)
    if now != name and not ctx.check:
        _hostnamectl(["--transient", "set-hostname", name], ctx)
    full = socket.getfqdn()
    result: dict[str, Any] = {
        "changed": changed,
        "name": name,
        "ansible_facts": {
            "ansible_hostname": name.split(".")[0],
            "ansible_nodename": name,
            "ansible_fqdn": full,
            "ansible_domain": full.partition(".")[2],
        },
    }
    if changed and ctx.diff:
        before = now if name != now else permanent
        result["diff"] = {"before": "hostname = %s\n" % before, "after": "hostname = %s\n" % name}
    return result


def _permanent() -> str:
    try:
        with open(STATIC, encoding="utf-8", errors="replace") as file:
            lines = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    except FileNotFoundError:
        return ""
    return lines[0] if lines else ""


def _hostnamectl(words: list[str], ctx: Context) -> None:
    done = run_command(["hostnamectl", *words], timeout=ctx.remaining())
    if not done.ok:
        said = (done.err or done.out).strip()
        raise Failed("hostnamectl %s: %s" % (" ".join(words), said), rc=done.rc, stderr=done.err)
