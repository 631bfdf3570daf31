"""stat: what is at a path."""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat as modes
import struct
from typing import Any

from ..command import run_command
from ..files import group_name, naming, user_name
from ..outcome import Context


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = args["path"]
    with naming(path):
        try:
            info = os.stat(path) if args.get("follow") else os.lstat(path)
        except FileNotFoundError:
            return {"changed": False, "stat": {"exists": False}}
        found = _described(path, info, args)
        if args.get("get_mime", True):
            found.update(_mime(path, ctx))
        if args.get("get_attributes", True):
            found.update(_attributes(path, info))
        return {"changed": False, "stat": found}


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
        "blocks": info.st_blocks,
        "block_size": info.st_blksize,
        "device_type": info.st_rdev,
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


def _mime(path: str, ctx: Context) -> dict[str, str]:
    """What the program ``file`` says, where it is installed."""
    done = run_command(["file", "--mime-type", "--mime-encoding", "--", path], timeout=ctx.remaining())
    kind, semicolon, charset = done.out.rpartition(":")[2].partition(";")
    if not done.ok or not semicolon:
        return {"mimetype": "unknown", "charset": "unknown"}
    return {"mimetype": kind.strip(), "charset": charset.partition("=")[2].strip()}


_GET_FLAGS, _GET_VERSION = 0x80086601, 0x80087601
# lsattr's letters in its order, with the kernel's bits and Ansible's words
_FLAGS = (
    ("s", 0x00000001, "zero"),
    ("u", 0x00000002, "undelete"),
    ("S", 0x00000008, "synchronous"),
    ("D", 0x00010000, "dirsync"),
    ("i", 0x00000010, "immutable"),
    ("a", 0x00000020, "append"),
    ("d", 0x00000040, "nodump"),
    ("A", 0x00000080, "noatime"),
    ("c", 0x00000004, "compressed"),
    ("E", 0x00000800, "encrypted"),
    ("j", 0x00004000, "journalled"),
    ("I", 0x00001000, "indexed"),
    ("t", 0x00008000, "notail"),
    ("T", 0x00020000, "blockroot"),
    ("e", 0x00080000, "extents"),
    ("C", 0x00800000, "nocow"),
    ("x", 0x02000000, ""),
    ("F", 0x40000000, ""),
    ("N", 0x10000000, "inline"),
    ("P", 0x20000000, ""),
    ("V", 0x00100000, ""),
    ("m", 0x00000400, ""),
)


def _attributes(path: str, info: os.stat_result) -> dict[str, Any]:
    """What lsattr tells, asked of the kernel without it; nothing where the file system has none."""
    none: dict[str, Any] = {"version": None, "attributes": [], "attr_flags": ""}
    if not modes.S_ISREG(info.st_mode) and not modes.S_ISDIR(info.st_mode):
        return none
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return none
    try:
        (flags,) = struct.unpack_from("I", fcntl.ioctl(fd, _GET_FLAGS, bytes(8)))
        (version,) = struct.unpack_from("I", fcntl.ioctl(fd, _GET_VERSION, bytes(8)))
    except OSError:
        return none
    finally:
        os.close(fd)
    there = [(letter, word) for letter, bit, word in _FLAGS if flags & bit]
    return {
        "version": str(version),
        "attributes": [word for _letter, word in there if word],
        "attr_flags": "".join(letter for letter, _word in there),
    }
