"""What listens on VMs, as tables. No I/O; remote text is escaped here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labctl.report.text import plain

_COLUMNS = ("port", "address", "process", "unit", "service", "reach")


def render_services(document: Mapping[str, Any]) -> str:
    """A table for each VM of ``labctl services``' document."""
    lines: list[str] = []
    for host in document["hosts"]:
        lines.append(plain(host["host"]))
        if host["error"]:
            lines.append(f"  {plain(host['error'], limit=300)}")
            if host["hint"]:
                lines.append(f"  {plain(host['hint'], limit=300)}")
        else:
            lines.extend(_table(host["services"]))
            lines.append(f"  the firewall (ufw) is {'on' if host['firewall'] else 'off'}")
        lines.append("")
    return "\n".join(lines)


def _table(rows: list[Mapping[str, Any]]) -> list[str]:
    shown = [_COLUMNS] + [
        tuple(
            plain(str(value) or "-", limit=40)
            for value in (f"{row['port']}/{row['proto']}", *(row[name] for name in _COLUMNS[1:]))
        )
        for row in rows
    ]
    widths = [max(len(row[column]) for row in shown) for column in range(len(_COLUMNS))]
    return [
        "  " + "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in shown
    ]
