"""script: a program of the controller's, whose text came with the op, run once and removed."""

from __future__ import annotations

import base64
import os
import shlex
import shutil
import tempfile
from typing import Any

from ..command import run_command
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``text`` or ``data`` (base64) is the program, ``_name`` its name, ``rest`` the words after it."""
    for word, wanted in (("creates", True), ("removes", False)):
        path = args.get(word)
        if path and os.path.exists(path) == wanted:
            state = "exists" if wanted else "does not exist"
            return {
                "changed": False,
                "skipped": True,
                "msg": "%s %s, matching %s option" % (path, state, word),
            }
    chdir = args.get("chdir")
    if chdir and not chdir.startswith("/"):
        raise Failed("chdir %s must be an absolute path" % chdir, changed=False)
    if ctx.check:
        if args.get("creates") or args.get("removes"):
            return {"changed": True}
        return {"changed": False, "skipped": True, "msg": "Check mode is not supported for this task."}
    if chdir and not os.path.isdir(chdir):
        raise Failed("chdir: there is no directory %s" % chdir, changed=False)
    where = tempfile.mkdtemp(prefix="labctl-script-")
    try:
        return _run(args, ctx, os.path.join(where, args["_name"]))
    finally:
        shutil.rmtree(where, ignore_errors=True)


def _run(args: dict[str, Any], ctx: Context, path: str) -> dict[str, Any]:
    data = base64.b64decode(args["data"]) if "data" in args else args["text"].encode("utf-8")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o700), "wb") as file:
        file.write(data)
    words = [args.get("executable") or "", shlex.quote(path), args.get("rest") or ""]
    done = run_command(
        ["/bin/sh", "-c", " ".join(word for word in words if word)],
        timeout=ctx.remaining(),
        cwd=args.get("chdir"),
        env=args.get("_environment"),
    )
    result = {"changed": True, "rc": done.rc, "stdout": done.out, "stderr": done.err}
    if done.timed_out:
        raise Failed("still running when its time was over: ended", **result)
    if done.rc != 0:
        raise Failed("non-zero return code", **result)
    return result
