"""Try to write on an NFS share, mounted for the trial where nobody else sees it.

The op runs in a process of its own; it takes a private mount namespace, so the mount is gone with the
process, however that ends, and neither the student's mounts nor any directory change.
"""

from __future__ import annotations

import ctypes
import errno
import os
from typing import Any

from ..command import run_command
from ..outcome import Context

CLONE_NEWNS = 0x00020000
MS_REC_PRIVATE = 0x4000 | 0x40000
# bounded in the kernel too: a server that does not answer gives an error instead of a process that cannot be
# killed
OPTIONS = "soft,timeo=50,retrans=2,retry=0"


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``sources`` (tried in order) and ``name`` in; what mounting and creating the file ``name`` came to,
    out.
    """
    name = str(args["name"])
    if "/" in name or not name.startswith(".labctl-"):
        raise ValueError("the name of the trial file must start with .labctl-")
    result: dict[str, Any] = {"mounted": "", "message": "", "entries": [], "create": "", "seconds": 0.0}
    if not any(os.path.exists(folder + "/mount.nfs") for folder in ("/sbin", "/usr/sbin")):
        result["message"] = "there is no mount.nfs on the VM"
        return result
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC_PRIVATE, None):
        result["message"] = "no private mount namespace: " + os.strerror(ctypes.get_errno())
        return result
    place = next((path for path in ("/media", "/srv", "/opt", "/home") if os.path.isdir(path)), "/root")
    # twice round: a connection to the server that was just lost takes some seconds to be noticed
    for source in [str(item) for item in args["sources"]] * 2:
        wait = min(20.0, max(1.0, ctx.remaining() - 5))
        done = run_command(["mount", "-t", "nfs", "-o", OPTIONS, source, place], timeout=wait)
        if done.rc == 0:
            result["mounted"] = source
            break
        result["message"] = "timed out" if done.timed_out else (done.err or done.out).strip()[:500]
    if not result["mounted"]:
        return result
    try:
        result["entries"] = sorted(os.listdir(place))[:200]
        result["create"] = create(os.path.join(place, name))
    except OSError as err:
        result["create"] = errno.errorcode.get(err.errno or 0, "EIO")
    return result


def create(path: str) -> str:
    """ "created" (the file is removed again) or the name of the error."""
    try:
        handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except OSError as err:
        return errno.errorcode.get(err.errno or 0, "EIO")
    os.close(handle)
    os.unlink(path)
    return "created"
