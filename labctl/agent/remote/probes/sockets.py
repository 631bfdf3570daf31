"""Which processes listen where, read from /proc (no program of the VM is asked)."""

from __future__ import annotations

import os
import socket
from typing import Any

from ..outcome import Context

TABLES = (("tcp", 4), ("tcp6", 6), ("udp", 4), ("udp6", 6))
LISTEN = "0A"
UNCONNECTED = "07"


def run(args: dict[str, Any], _ctx: Context) -> dict[str, Any]:
    """``listening`` out: proto ("tcp", "udp"), address, port, pid (0 when not found), process name, its
    systemd unit, and what /etc/services calls the port ("" for what is not known).
    """
    ports = {int(port) for port in args.get("ports", [])}
    rows = [row for row in listeners() if not ports or row["port"] in ports][:500]
    # one process may hold a port at each of many addresses
    units = {pid: unit_of(pid) for pid in {row["pid"] for row in rows}}
    services = {key: service_name(*key) for key in {(row["port"], row["proto"]) for row in rows}}
    for row in rows:
        row["unit"] = units[row["pid"]]
        row["service"] = services[row["port"], row["proto"]]
    return {"listening": rows}


def unit_of(pid: int) -> str:
    """The unit that a process belongs to: a login session's is its scope."""
    try:
        with open("/proc/%d/cgroup" % pid, encoding="utf-8", errors="replace") as groups:
            lines = groups.read().splitlines()
    except OSError:
        return ""
    for line in lines:
        # the unified hierarchy, or systemd's own in the older layout
        if line.startswith("0::") or ":name=systemd:" in line:
            for part in reversed(line.split(":", 2)[2].split("/")):
                if part.endswith((".service", ".scope", ".socket")):
                    return part
    return ""


def service_name(port: int, proto: str) -> str:
    try:
        return socket.getservbyport(port, proto)
    except OSError:
        return ""


def listeners() -> list[dict[str, Any]]:
    """Every listening TCP socket and unconnected UDP socket, with the processes that hold it."""
    owners = socket_owners()
    names: dict[int, str] = {}
    rows = []
    for table, family in TABLES:
        for address, port, inode in read_table("/proc/net/" + table, family):
            for pid in owners.get(inode, [0])[:16]:
                if pid not in names:
                    names[pid] = name_of(pid)
                rows.append(
                    {
                        "proto": table[:3],
                        "address": address,
                        "port": port,
                        "pid": pid,
                        "process": names[pid],
                    }
                )
    return rows


def read_table(path: str, family: int) -> list[tuple[str, int, int]]:
    """(address, port, inode) of the listening rows of one of the kernel's socket tables."""
    try:
        with open(path) as table:
            lines = table.read().splitlines()[1:]
    except OSError:
        return []
    wanted = LISTEN if "tcp" in path else UNCONNECTED
    found = []
    for line in lines:
        fields = line.split()
        if len(fields) > 9 and fields[3] == wanted:
            host, port = fields[1].split(":")
            found.append((address_of(host, family), int(port, 16), int(fields[9])))
    return found


def address_of(text: str, family: int) -> str:
    """The kernel prints addresses as words in the machine's byte order; x86 and ARM are little-endian."""
    raw = bytes.fromhex(text)
    swapped = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    return socket.inet_ntop(socket.AF_INET if family == 4 else socket.AF_INET6, swapped)


def socket_owners() -> dict[int, list[int]]:
    """Inode of a socket -> pids that hold it open."""
    owners: dict[int, list[int]] = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        folder = "/proc/" + pid + "/fd"
        try:
            handles = os.listdir(folder)
        except OSError:
            continue
        for handle in handles:
            try:
                link = os.readlink(folder + "/" + handle)
            except OSError:
                continue
            if link.startswith("socket:["):
                owners.setdefault(int(link[8:-1]), []).append(int(pid))
    return owners


def name_of(pid: int) -> str:
    """The kernel cuts it to 15 bytes, in the middle of a letter too."""
    try:
        with open("/proc/%d/comm" % pid, encoding="utf-8", errors="replace") as comm:
            return comm.read().strip()
    except OSError:
        return ""
