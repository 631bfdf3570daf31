"""The mount table, and whether the network file systems in it answer.

Touching a stale NFS mount hangs the process that does it. Each one is therefore touched in a child of
its own with a deadline; a child that does not end is killed and left to the kernel.
"""

from __future__ import annotations

import errno
import json
import os
import select
import signal
import time
from typing import Any

from .. import mount_table
from ..outcome import Context

NETWORK = ("nfs", "nfs4")


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``touch`` in (seconds for one mount); ``mounts`` out: network mounts, and what each said when
    touched.
    """
    limit = min(float(args.get("touch", 8.0)), max(1.0, ctx.remaining() - 2.0))
    rows = mounted()
    # what is mounted when somebody looks: automount units, autofs
    waiting = [row for row in rows if row["fstype"] == "autofs" and not row["target"].startswith("/proc/")]
    if waiting:
        touch_all(waiting[:5], limit)
        limit = min(limit, max(1.0, ctx.remaining() - 2.0))
        rows = mounted()
    network = [row for row in rows if row["fstype"] in NETWORK][:20]
    touch_all(network, limit)
    return {"mounts": network, "others": len(rows) - len(network)}


def mounted() -> list[dict[str, Any]]:
    return [told(row) for row in mount_table.rows()]


def told(row: mount_table.Row) -> dict[str, Any]:
    """A row as it is told, with what there is to say before the mount has been touched."""
    options, super_options = (sorted(set(words)) for words in (row.options, row.super_options))
    said = dict(row._asdict(), options=options, super_options=super_options)
    return dict(said, answers="untouched", error="", entries=[])


def touch_all(mounts: list[dict[str, Any]], limit: float) -> None:
    """List each mount in a child of its own, all at once, for at most ``limit`` seconds."""
    running = {}
    for mount in mounts:
        readable, writable = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(readable)
            touch(mount["target"], writable)
        os.close(writable)
        running[readable] = (pid, mount, bytearray())
    until = time.monotonic() + limit
    while running:
        ready = select.select(list(running), [], [], max(0.0, until - time.monotonic()))[0]
        if not ready:
            break
        for handle in ready:
            pid, mount, text = running[handle]
            piece = os.read(handle, 65536)
            text.extend(piece)
            if not piece:
                finish(mount, bytes(text))
                os.close(handle)
                os.waitpid(pid, 0)
                del running[handle]
    for handle, (pid, mount, _) in running.items():
        mount["answers"] = "hung"
        os.kill(pid, signal.SIGKILL)
        os.close(handle)
        os.waitpid(pid, os.WNOHANG)


def touch(target: str, handle: int) -> None:
    """In the child: list the mount, write what came of it to the pipe, end without any clean-up."""
    try:
        entries = sorted(os.listdir(target))[:500]
        said: dict[str, Any] = {"answers": "yes", "entries": entries, "error": ""}
    except OSError as err:
        said = {"answers": "error", "entries": [], "error": errno.errorcode.get(err.errno or 0, "EIO")}
    data = json.dumps(said).encode()
    while data:
        data = data[os.write(handle, data) :]
    os._exit(0)


def finish(mount: dict[str, Any], text: bytes) -> None:
    try:
        mount.update(json.loads(text.decode()))
    except ValueError:
        mount["answers"] = "error"
        mount["error"] = "EIO"
