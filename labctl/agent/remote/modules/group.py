"""group: a group of /etc/group."""

from __future__ import annotations

import grp
from typing import Any

from ..command import run_command
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    name = args["name"]
    result: dict[str, Any] = {"changed": False, "name": name, "state": args.get("state", "present")}
    try:
        entry = grp.getgrnam(name)
    except KeyError:
        entry = None
    words = _words(args, entry)
    if words:
        result["changed"] = True
        if not ctx.check:
            done = run_command(words, timeout=ctx.remaining())
            if not done.ok:
                raise Failed("%s: %s" % (words[0], done.err.strip()), rc=done.rc, stderr=done.err)
            entry = None
    if result["state"] == "present" and not ctx.check:
        result.update(gid=grp.getgrnam(name).gr_gid, system=bool(args.get("system")))
    return result


def _words(args: dict[str, Any], entry: Any) -> list[str]:
    name, gid = args["name"], args.get("gid")
    if args.get("state", "present") == "absent":
        return ["groupdel", name] if entry else []
    unique = ["-o"] if args.get("non_unique") else []
    if entry is None:
        number = ["-g", str(gid)] if gid is not None else []
        return ["groupadd", *number, *unique, *(["-r"] if args.get("system") else []), name]
    if gid is not None and entry.gr_gid != gid:
        return ["groupmod", "-g", str(gid), *unique, name]
    return []
