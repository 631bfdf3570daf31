"""file: a file, directory, link or nothing at a path, with owner and mode."""

from __future__ import annotations

import os
import shutil
import stat
from typing import Any

from ..files import Wish, facts_of, naming
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    state = args.get("state") or _present_state(path, args)
    with naming(path):
        work = {
            "absent": _absent,
            "directory": _directory,
            "file": _file,
            "hard": _link,
            "link": _link,
            "touch": _touch,
        }[state]
        result = work(dict(args, path=path, state=state), ctx)
    if ctx.diff and result["changed"] and "diff" not in result:
        result["diff"] = {"before": {"path": path}, "after": {"path": path}}
    if not ctx.diff:
        result.pop("diff", None)
    result.update({key: value for key, value in facts_of(path).items() if key not in result})
    return dict(result, path=path, dest=path)


def _present_state(path: str, args: dict[str, Any]) -> str:
    if args.get("recurse"):
        return "directory"
    current = _kind(path)
    return current if current in ("directory", "link") else "file"


def _kind(path: str) -> str:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return "absent"
    if stat.S_ISLNK(mode):
        return "link"
    return "directory" if stat.S_ISDIR(mode) else "file"


def _changed_state(path: str, before: str, after: str) -> dict[str, Any]:
    return {"before": {"path": path, "state": before}, "after": {"path": path, "state": after}}


def _absent(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    kind = _kind(path)
    if kind == "absent":
        return {"changed": False, "state": "absent"}
    if not ctx.check:
        if kind == "directory":
            shutil.rmtree(path)
        else:
            os.unlink(path)
    return {"changed": True, "state": "absent", "diff": _changed_state(path, kind, "absent")}


def _attributes(
    path: str, args: dict[str, Any], ctx: Context, diff: dict[str, Any], follow: bool = True
) -> bool:
    return Wish(args, ctx).apply(path, ctx, diff, follow)


def _directory(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    kind = _kind(path)
    follow = args.get("follow", True)
    if kind == "link" and follow and os.path.isdir(path):
        kind = "directory"
    diff = _changed_state(path, kind, "directory")
    if kind in ("file", "link"):
        raise Failed("%s is there already, and is a %s, not a directory" % (path, kind))
    changed = False
    if kind == "absent":
        changed = True
        if ctx.check:
            return {"changed": True, "diff": diff, "state": "directory"}
        # Every directory made on the way gets the wished owner and mode, as Ansible does it.
        made = []
        above = path
        while above and not os.path.isdir(above):
            made.append(above)
            above = os.path.dirname(above.rstrip("/"))
        for one in reversed(made):
            os.mkdir(one)
            _attributes(one, args, ctx, {"before": {}, "after": {}})
    else:
        diff = {"before": {"path": path}, "after": {"path": path}}
        changed = _attributes(path, args, ctx, diff)
    if args.get("recurse"):
        for where, directories, names in os.walk(path):
            for name in directories + names:
                changed = _attributes(os.path.join(where, name), args, ctx, diff, follow=False) or changed
    return {"changed": changed, "diff": diff}


def _file(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    kind = _kind(path)
    if kind == "link" and args.get("follow", True) and os.path.exists(path):
        kind = _kind(os.path.realpath(path))
    if kind != "file":
        if ctx.check and kind == "absent":
            return {"changed": False, "state": "absent", "msg": "%s is not there yet" % path}
        raise Failed("there is no file %s (state: touch or the copy module make one)" % path, state=kind)
    diff = {"before": {"path": path}, "after": {"path": path}}
    return {"changed": _attributes(path, args, ctx, diff), "diff": diff}


def _touch(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    kind = _kind(path)
    diff = _changed_state(path, kind, "touch") if kind == "absent" else {"before": {}, "after": {}}
    keep = (args.get("modification_time") or "now", args.get("access_time") or "now")
    changed = kind == "absent" or keep != ("preserve", "preserve")
    if not ctx.check:
        if kind == "absent":
            with open(path, "xb"):
                pass
        elif changed:
            info = os.stat(path)
            now = None if keep == ("now", "now") else (info.st_atime_ns, info.st_mtime_ns)
            if now is None:
                os.utime(path)
            else:
                import time

                stamp = time.time_ns()
                accessed = stamp if keep[1] == "now" else info.st_atime_ns
                modified = stamp if keep[0] == "now" else info.st_mtime_ns
                os.utime(path, ns=(accessed, modified))
    elif kind == "absent":
        return {"changed": True, "diff": diff}
    return {"changed": _attributes(path, args, ctx, diff) or changed, "diff": diff}


def _link(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path, source, hard = args["path"], args.get("src"), args["state"] == "hard"
    kind = _kind(path)
    if not source:
        if kind != "link":
            raise Failed("src is needed to make the link %s" % path)
        return {"changed": False}
    target = source if os.path.isabs(source) else os.path.join(os.path.dirname(path), source)
    if hard:
        right = kind == "file" and os.path.exists(target) and os.path.samefile(path, target)
    else:
        right = kind == "link" and os.readlink(path) == source
    if right:
        return {"changed": False, "src": source}
    if not os.path.exists(target) and not args.get("force") and not ctx.check:
        raise Failed(
            "%s, which %s should point to, does not exist (force: true makes it anyway)" % (source, path)
        )
    if kind == "directory" and (os.listdir(path) or not args.get("force")):
        raise Failed("%s is a directory: it is not replaced by a link" % path)
    if kind == "file" and not args.get("force"):
        raise Failed("%s is a file: force: true replaces it by a link" % path)
    if not ctx.check:
        if kind == "directory":
            os.rmdir(path)
        temporary = "%s.labctl-%d" % (path, os.getpid())
        (os.link if hard else os.symlink)(target if hard else source, temporary)
        os.rename(temporary, path)
        if not hard:
            _attributes(path, args, ctx, {"before": {}, "after": {}}, follow=False)
    return {"changed": True, "src": source, "diff": _changed_state(path, kind, args["state"])}
