"""mount: what /etc/fstab says and what is mounted.

/proc/self/mountinfo is read, never the mount point: a dead NFS server would hang whoever looks.
"""

from __future__ import annotations

import os
from typing import Any

from ..command import Finished, run_command
from ..files import Wish, backup, naming, read_file, text_diff, write_file
from ..mount_table import Row, rows, unescape
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = _normal(args["path"])
    state = args["state"]
    fstab = args.get("fstab") or "/etc/fstab"
    if state in ("present", "mounted"):
        for word in ("src", "fstype"):
            if not args.get(word):
                raise Failed("%s is needed with state=%s" % (word, state))
    result: dict[str, Any] = {"changed": False, "name": path, "fstab": fstab}
    for word in ("src", "fstype", "opts", "dump", "passno"):
        if args.get(word) is not None:
            result[word] = args[word]
    with naming(path):
        if state in ("present", "mounted", "absent", "absent_from_fstab"):
            _table(args, path, fstab, ctx, result)
        if state == "mounted":
            _mounted(args, path, ctx, result)
        elif state == "unmounted":
            _unmounted(path, ctx, result)
        elif state == "absent" and result["changed"] and path.startswith("/"):
            # of what has no line there, Ansible leaves the mount and the directory too
            _unmounted(path, ctx, result)
            if os.path.isdir(path) and not ctx.check:
                os.rmdir(path)
        elif state == "remounted":
            _remounted(path, ctx, result)
    return result


def _normal(path: str) -> str:
    """The path without links above it; the mount point itself is not touched. A swap has ``none``."""
    if not path.startswith("/"):
        return path
    path = os.path.normpath(path)
    if path == "/":
        return path
    return os.path.join(os.path.realpath(os.path.dirname(path)), os.path.basename(path))


# -- /etc/fstab ------------------------------------------------------------------------------------


def escape(field: str) -> str:
    """A field as fstab writes it."""
    return field.replace("\\", "\\134").replace(" ", "\\040").replace("\t", "\\011")


def fstab_line(args: dict[str, Any], path: str) -> str:
    """The line that describes the mount."""
    options = args.get("opts") or "defaults"
    if not args.get("boot", True) and "noauto" not in options.split(","):
        options += ",noauto"
    fields = [args["src"], path, args["fstype"], options]
    return "%s %s %s\n" % (
        " ".join(escape(str(one)) for one in fields),
        args.get("dump", "0"),
        args.get("passno", "0"),
    )


def _same_line(old: str, new: str) -> bool:
    """Whether two fstab lines are the same, but for a comment.

    One that leaves out dump and passno is not: Ansible writes them. Its second ``noauto`` is no matter.
    """
    first, second = old.partition("#")[0].split(), new.split()
    options = ",".join(dict.fromkeys(first[3].split(",")))
    return first == second or [*first[:3], options, *first[4:]] == second


def _concerns(old: str, path: str, source: str | None) -> bool:
    """Whether an fstab line is about ``path``; of several swaps, which have none, about ``source``."""
    fields = old.split()
    if len(fields) < 4 or fields[0].startswith("#"):
        return False
    if fields[1] == "none" and fields[2] == "swap" and source is not None and unescape(fields[0]) != source:
        return False
    return unescape(fields[1]).rstrip("/") == path.rstrip("/")


def edited(text: str, path: str, line: str | None, source: str | None = None) -> str:
    """``text`` of an fstab with the line for ``path`` as it shall be; None takes it out."""
    out = []
    placed = line is None
    for old in text.splitlines(True):
        if not _concerns(old, path, source):
            out.append(old)
        elif line is not None and not placed:
            out.append(old if _same_line(old, line) else line)
            placed = True
    if not placed and line is not None:
        if out and not out[-1].endswith("\n"):
            out[-1] += "\n"
        out.append(line)
    return "".join(out)


def _table(args: dict[str, Any], path: str, fstab: str, ctx: Context, result: dict[str, Any]) -> None:
    before = read_file(fstab)
    text = (before or b"").decode("utf-8", "surrogateescape")
    line = fstab_line(args, path) if args["state"] in ("present", "mounted") else None
    after = edited(text, path, line, args.get("src")).encode("utf-8", "surrogateescape")
    if after == (before or b""):
        return
    result["changed"] = True
    if ctx.diff:
        result["diff"] = text_diff(fstab, before, after)
    if not ctx.check:
        if args.get("backup") and before is not None:
            result["backup_file"] = backup(fstab)
        write_file(fstab, after, ctx, Wish({}))


# -- what is mounted ---------------------------------------------------------------------------------


def _at(path: str) -> Row | None:
    here = [one for one in rows() if one.target == path]
    return here[-1] if here else None


def _differs(entry: Row, args: dict[str, Any]) -> bool:
    """Whether something else than the task's source is mounted there."""
    source = str(args["src"])
    if ":" not in source and not source.startswith("/"):
        return False  # UUID=, LABEL=, tmpfs: the table shows another name for it
    if "bind" in str(args.get("opts") or "").split(",") or source.startswith("/dev/"):
        return False
    return entry.source.rstrip("/") != source.rstrip("/")


def _mounted(args: dict[str, Any], path: str, ctx: Context, result: dict[str, Any]) -> None:
    if not path.startswith("/"):
        raise Failed("%s is no mount point: state: present writes its line of %s" % (path, result["fstab"]))
    entry = _at(path)
    if entry and not _differs(entry, args):
        if result["changed"]:
            _remounted(path, ctx, result)
        return
    result["changed"] = True
    if ctx.check:
        return
    if entry:
        _unmount(path, entry, ctx)
    if not os.path.isdir(path):
        os.makedirs(path)
    words = ["mount"] + (["-T", args["fstab"]] if args.get("fstab") else []) + [path]
    _say(run_command(words, timeout=ctx.remaining() - 1), "mount %s on %s" % (args["src"], path))


def _unmounted(path: str, ctx: Context, result: dict[str, Any]) -> None:
    while True:
        entry = _at(path)
        if not entry:
            return
        result["changed"] = True
        if ctx.check:
            return
        _unmount(path, entry, ctx)


def _unmount(path: str, entry: Row, ctx: Context) -> None:
    network = entry.fstype.startswith("nfs")
    done = run_command(["umount", path], timeout=min(15.0, ctx.remaining()))
    if done.ok:
        return
    if network and done.timed_out:
        # The server is gone: take the mount out of the tree, the kernel gives up on the rest later.
        done = run_command(["umount", "-f", "-l", path], timeout=min(15.0, ctx.remaining()))
    _say(done, "unmount %s" % path)


def _remounted(path: str, ctx: Context, result: dict[str, Any]) -> None:
    entry = _at(path)
    if not entry:
        raise Failed("%s is not mounted, so it cannot be mounted again" % path)
    result["changed"] = True
    if ctx.check:
        return
    done = run_command(["mount", "-o", "remount", path], timeout=ctx.remaining() - 1)
    if not done.ok:
        # Some options, NFS's among them, only take effect with a new mount.
        _unmount(path, entry, ctx)
        done = run_command(["mount", path], timeout=ctx.remaining() - 1)
    _say(done, "mount %s again" % path)


def _say(done: Finished, what: str) -> None:
    if done.ok:
        return
    hint = ""
    said = done.err.strip() or done.out.strip()
    if done.timed_out:
        hint = ": no answer in time; is the server up and reachable?"
    elif done.missing:
        hint = ": there is no such program on the VM"
    elif "access denied" in said:
        hint = " (the server does not export it to this address)"
    elif "bad option" in said or "helper program" in said:
        hint = " (the package with this file system's helper is missing, nfs-common for NFS)"
    elif "busy" in said:
        hint = " (a process works in there: fuser -vm names it)"
    raise Failed("cannot %s: %s%s" % (what, said, hint), rc=done.rc, stdout=done.out, stderr=done.err)
