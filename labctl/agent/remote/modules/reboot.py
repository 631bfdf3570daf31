"""reboot: ask the VM to. Waiting until it is back is the controller's."""

from __future__ import annotations

import os
import shlex
from typing import Any

from ..command import run_command
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``minutes`` before it, ``msg`` for who is logged in; ``reboot_command`` instead of shutdown."""
    own = shlex.split(args.get("reboot_command") or "")
    name = own[0] if own else "shutdown"
    paths = args.get("search_paths") or []
    if not name.startswith("/"):
        found = [os.path.join(path, name) for path in paths if os.path.exists(os.path.join(path, name))]
        if not found:
            raise Failed("there is no %s in %s on the VM" % (name, ", ".join(paths)))
        name = found[0]
    # "0" would be a plan for this minute, which only logind can keep; not every VM has one
    when = str(args.get("minutes") or "now")
    argv = [name, *(own[1:] or ["-r", when, args.get("msg") or ""])]
    done = run_command(argv, timeout=ctx.remaining(), outlive=True)
    if not done.ok:
        said = (done.err or done.out).strip() or "exit status %d" % done.rc
        raise Failed("%s: %s" % (name, said), rc=done.rc)
    return {"changed": True}
