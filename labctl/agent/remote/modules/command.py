"""command: one program, its arguments given as a list or split like a shell would, without a shell."""

from __future__ import annotations

import glob
import os
import shlex
import time
from typing import Any

from ..command import run_command
from ..outcome import Context, Failed
from ..paths import expanded


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    shell = bool(args.get("_uses_shell"))
    text = args.get("cmd") or ""
    if shell:
        argv = [args.get("executable") or "/bin/sh", "-c", text]
        shown: Any = text
    else:
        try:
            argv = [str(word) for word in args.get("argv") or shlex.split(text)]
        except ValueError as err:
            raise Failed("the command cannot be split into words: %s: %s" % (err, text)) from err
        shown = list(argv)
        if args.get("expand_argument_vars", True):
            argv = [
                expanded(word, args.get("_environment")) if "$" in word or word[:1] == "~" else word
                for word in argv
            ]
    if not argv or not (text or args.get("argv")):
        raise Failed("there is no command to run", rc=257)
    result = {"cmd": shown, "changed": False, "rc": 0, "stdout": "", "stderr": ""}  # type: dict[str, Any]
    chdir = args.get("chdir")
    if chdir and not ctx.check and not os.path.isdir(chdir):
        # nothing ran, so there is no code: 0 would be a success to whoever reads it
        raise Failed("chdir: there is no directory %s" % chdir, **dict(result, rc=None))
    skip = _not_needed(args, chdir)
    if skip:
        return dict(result, msg=skip, stdout="skipped, since " + skip)
    if ctx.check:
        if args.get("creates") or args.get("removes"):
            return dict(result, changed=True, msg="would run, in check mode it does not")
        return dict(result, skipped=True, msg="not run in check mode")
    return _finished(args, ctx, argv, result)


def _finished(args: dict[str, Any], ctx: Context, argv: list[str], result: dict[str, Any]) -> dict[str, Any]:
    stdin = args.get("stdin")
    if stdin is not None and args.get("stdin_add_newline", True):
        stdin += "\n"
    started = time.time()
    done = run_command(
        argv,
        timeout=ctx.remaining(),
        stdin=None if stdin is None else stdin.encode("utf-8"),
        cwd=args.get("chdir"),
        env=args.get("_environment"),
    )
    ended = time.time()
    strip = args.get("strip_empty_ends", True)
    result.update(
        changed=True,
        rc=done.rc,
        stdout=done.out.rstrip("\r\n") if strip else done.out,
        stderr=done.err.rstrip("\r\n") if strip else done.err,
        start=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(started)),
        end=time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(ended)),
        delta="%.6f" % (ended - started),
        msg="",
    )
    if done.truncated:
        result["truncated"] = True
    if done.missing:
        raise Failed(
            "there is no program %s on the VM" % argv[0], **_without(dict(result, changed=False, rc=2), "msg")
        )
    if done.timed_out:
        raise Failed("still running after %.0f s: ended" % (ended - started), **_without(result, "msg"))
    if done.rc != 0:
        raise Failed("non-zero return code %d" % done.rc, **_without(result, "msg"))
    return result


def _without(result: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in result.items() if key != name}


def _not_needed(args: dict[str, Any], chdir: Any) -> str:
    for word, wanted in (("creates", True), ("removes", False)):
        pattern = args.get(word)
        if not pattern:
            continue
        path = os.path.join(chdir or "", pattern)
        if bool(glob.glob(path)) == wanted:
            return "%s %s" % (pattern, "exists" if wanted else "does not exist")
    return ""
