"""What systemd says about some units."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from ..outcome import Context
from .asking import ask
from .sockets import unit_of

FIELDS = {
    "Id": "id",
    "LoadState": "load",
    "ActiveState": "active",
    "SubState": "sub",
    "UnitFileState": "enabled",
    "MainPID": "main_pid",
    "Result": "result",
}


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``names`` in; ``systemd`` (is it there?) and ``units`` out, one for each name, in order.

    ``processes`` is how many the kernel knows in the unit's control group: systemctl is a program of the VM.
    """
    inside = Counter(unit_of(int(pid)) for pid in filter(str.isdigit, os.listdir("/proc")))
    names = [str(name) for name in args["names"]]
    units = []
    systemd = True
    for name in names:
        done = ask(["systemctl", "show", "--property=" + ",".join(FIELDS), "--", name], ctx)
        systemd = systemd and done.rc == 0
        unit: dict[str, Any] = dict.fromkeys(FIELDS.values(), "")
        unit["name"] = name
        for line in done.out.splitlines():
            key, equals, value = line.partition("=")
            if equals and key in FIELDS:
                unit[FIELDS[key]] = value
        unit["main_pid"] = int(unit["main_pid"]) if str(unit["main_pid"]).isdigit() else 0
        unit["processes"] = inside[unit["id"]]
        units.append(unit)
    return {"systemd": systemd, "units": units}
