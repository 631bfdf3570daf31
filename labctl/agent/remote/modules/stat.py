"""stat: what is at a path."""

from __future__ import annotations

import hashlib
import os
import stat as modes
from typing import Any

from ..files import group_name, naming, user_name
from ..outcome import Context


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:  # noqa: ARG001 (the form of every op)
    path = os.path.expanduser(args["path"])
    with naming(path):
        try:
            info = os.stat(path) if args.get("follow") else os.lstat(path)
        except (FileNotFoundError, NotADirectoryError):
            return {"changed": False, "stat": {"exists": False}}
        return {"changed": False, "stat": _described(path, info, args)}


def _described(path: str, info: os.stat_result, args: dict[str, Any]) -> dict[str, Any]:
    mode = info.st_mode
    found: dict[str, Any] = {
        "exists": True,
        "path": path,
        "mode": "%04o" % modes.S_IMODE(mode),
        "isdir": modes.S_ISDIR(mode),
        "ischr": modes.S_ISCHR(mode),
        "isblk": modes.S_ISBLK(mode),
        "isreg": modes.S_ISREG(mode),
        "isfifo": modes.S_ISFIFO(mode),
        "islnk": modes.S_ISLNK(mode),
        "issock": modes.S_ISSOCK(mode),
        "uid": info.st_uid,
        "gid": info.st_gid,
        "pw_name": user_name(info.st_uid),
        "gr_name": group_name(info.st_gid),
        "size": info.st_size,
        "inode": info.st_ino,
        "dev": info.st_dev,
        "nlink": info.st_nlink,
        "atime": info.st_atime,
        "mtime": info.st_mtime,
        "ctime": info.st_ctime,
        "isuid": bool(mode & modes.S_ISUID),
        "isgid": bool(mode & modes.S_ISGID),
        "readable": os.access(path, os.R_OK),
        "writeable": os.access(path, os.W_OK),
        "executable": os.access(path, os.X_OK),
    }
    for letter, name in (("u", "usr"), ("g", "grp"), ("o", "oth")):
        shift = {"u": 6, "g": 3, "o": 0}[letter]
        for bit, word in ((4, "r"), (2, "w"), (1, "x")):
            found[word + name] = bool(mode >> shift & bit)
    if modes.S_ISLNK(mode):
        found["lnk_target"] = os.readlink(path)
        found["lnk_source"] = os.path.realpath(path)
    if modes.S_ISREG(mode) and args.get("get_checksum", True) and found["readable"]:
        digest = hashlib.new(args.get("checksum_algorithm", "sha1"))
        with open(path, "rb") as file:
            for chunk in iter(lambda: file.read(1 << 20), b""):
                digest.update(chunk)
        found["checksum"] = digest.hexdigest()
    return found
