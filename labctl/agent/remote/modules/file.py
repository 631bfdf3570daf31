"""file: a file, directory, link or nothing at a path, with owner and mode."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable
from typing import Any

from ..files import Wish, facts_of, naming
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path, source = args["path"], args.get("src")
    if source and args.get("state") not in ("link", "absent") and os.path.isdir(path):
        # Ansible's rule: a directory is where the thing with the source's name shall be
        path = os.path.join(path, os.path.basename(source))
    state = args.get("state") or _present_state(path, args)
    if args.get("recurse") and state != "directory":
        raise Failed("recurse is for state: directory, not %s" % state, path=path)
    if source and state not in ("link", "hard"):
        raise Failed("src is for state: link or hard, not %s" % state, path=path)
    with naming(path):
        work = {
            "absent": _absent,
            "directory": _directory,
            "file": _file,
            "hard": _hard,
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
    current = _kind(path)
    if current == "absent":
        return "directory" if args.get("recurse") else "file"
    return current


def _kind(path: str) -> str:
    try:
        info = os.lstat(path)
    except OSError:
        return "absent"
    if stat.S_ISLNK(info.st_mode):
        return "link"
    if stat.S_ISDIR(info.st_mode):
        return "directory"
    return "hard" if info.st_nlink > 1 else "file"


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
    """Owner, group, mode and, where the task names them, times; whether that changes anything."""
    changed = Wish(args, ctx).apply(path, ctx, diff, follow)
    usual = "now" if args["state"] == "touch" else "preserve"
    return _times(path, args, ctx, usual, follow) or changed


def _times(path: str, args: dict[str, Any], ctx: Context, usual: str, follow: bool = True) -> bool:
    modified, accessed = args.get("modification_time") or usual, args.get("access_time") or usual
    if modified == accessed == "preserve":
        return False
    if not ctx.check:
        info = os.stat(path, follow_symlinks=follow)
        stamp = time.time_ns()
        os.utime(
            path,
            ns=(
                stamp if accessed == "now" else info.st_atime_ns,
                stamp if modified == "now" else info.st_mtime_ns,
            ),
            follow_symlinks=follow,
        )
    return True


def _directory(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    kind = _kind(path)
    if kind == "link" and args.get("follow", True):
        # one that leads nowhere gets its directory
        path = os.path.realpath(path)
        kind = _kind(path)
    diff = _changed_state(path, kind, "directory")
    if kind not in ("absent", "directory"):
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
    if kind not in ("file", "hard"):
        if ctx.check and kind == "absent":
            return {"changed": False, "state": "absent", "msg": "%s is not there yet" % path}
        raise Failed("there is no file %s (state: touch or the copy module make one)" % path, state=kind)
    diff = {"before": {"path": path}, "after": {"path": path}}
    return {"changed": _attributes(path, args, ctx, diff), "diff": diff}


def _touch(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    if _kind(path) != "absent":
        diff: dict[str, Any] = {"before": {}, "after": {}}
        return {"changed": _attributes(path, args, ctx, diff), "diff": diff}
    diff = _changed_state(path, "absent", "touch")
    if not ctx.check:
        with open(path, "xb"):
            pass
        Wish(args, ctx).apply(path, ctx, diff)
    return {"changed": True, "diff": diff}


def _link(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path, source = args["path"], args.get("src")
    kind = _kind(path)
    if kind == "link":
        before = os.readlink(path)
        source = source or (before if os.path.exists(path) and args.get("follow", True) else None)
    if not source and kind != "link":
        raise Failed("src is needed to make the link %s" % path)
    above = path if kind == "directory" else os.path.dirname(path)
    if source and not (args.get("force") or ctx.check or os.path.exists(os.path.join(above, source))):
        raise Failed(
            "%s, which %s should point to, does not exist (force: true makes it anyway)" % (source, path)
        )
    _may_be_replaced(path, kind, args)
    diff = _changed_state(path, kind, "link")
    changed = kind != "link" or bool(source and before != source)
    if changed and kind == "link":
        diff = {"before": {"path": path, "src": before}, "after": {"path": path, "src": source}}
    if changed and not ctx.check:
        _put(path, kind, lambda name: os.symlink(str(source), name))
    result = {"changed": changed, "src": source, "diff": diff}
    # the link's owner and mode are its target's: there is nothing to set while there is none
    follow = bool(args.get("follow", True))
    if (changed and ctx.check) or (follow and not os.path.exists(path)):
        return result
    result["changed"] = _attributes(path, args, ctx, diff, follow) or changed
    return result


def _may_be_replaced(path: str, kind: str, args: dict[str, Any]) -> None:
    if kind == "directory" and (os.listdir(path) or not args.get("force")):
        raise Failed("%s is a directory: it is not replaced by a link" % path)
    if kind in ("file", "hard") and not args.get("force"):
        raise Failed("%s is a file: force: true replaces it by a link" % path)


def _hard(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path, source = args["path"], args.get("src")
    kind = _kind(path)
    if not source:
        if kind != "hard":
            raise Failed("src is needed to make the hard link %s" % path)
        diff = {"before": {"path": path}, "after": {"path": path}}
        return {"changed": _attributes(path, args, ctx, diff), "diff": diff}
    if not os.path.exists(source):
        if ctx.check:
            return {"changed": True, "src": source, "diff": _changed_state(path, kind, "hard")}
        raise Failed("there is no file %s that %s could be another name of" % (source, path), src=source)
    if kind == "link":
        changed = os.readlink(path) != source
    else:
        changed = kind == "absent" or not os.path.samefile(path, source)
    if changed and kind == "directory":
        raise Failed("%s is a directory: it is not replaced by a hard link" % path)
    if changed and kind in ("file", "hard") and not args.get("force"):
        raise Failed("%s is another file: force: true replaces it by a hard link" % path)
    diff = _changed_state(path, kind, "hard")
    if changed and not ctx.check:
        real = os.path.realpath(source) if args.get("follow", True) else source
        _put(path, kind, lambda name: os.link(real, name, follow_symlinks=False))
    result = {"changed": changed, "src": source, "diff": diff}
    if not (changed and ctx.check):
        result["changed"] = _attributes(path, args, ctx, diff) or changed
    return result


def _put(path: str, kind: str, make: Callable[[str], None]) -> None:
    """What ``make`` makes, in place of what is at ``path``."""
    if kind == "absent":
        make(path)
        return
    temporary = "%s.labctl-%d" % (path.rstrip("/"), os.getpid())
    make(temporary)
    try:
        if kind == "directory":
            os.rmdir(path)
        os.rename(temporary, path)
    finally:
        # nothing is renamed when both names are one file's already
        if os.path.lexists(temporary):
            os.unlink(temporary)
