"""What systemd says about some units."""

from __future__ import annotations

from typing import Any

from ..outcome import Context
from .asking import ask

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
    """``names`` in; ``systemd`` (is it there?) and ``units`` out, one for each name, in order."""
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
        units.append(unit)
    return {"systemd": systemd, "units": units}
