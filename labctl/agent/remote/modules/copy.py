"""copy and template: text or bytes from the controller, or a file of the VM, put in place.

The controller has rendered a template already; what arrives is what the file shall hold.
"""

from __future__ import annotations

import base64
import hashlib
import os
import sys
from typing import Any

from ..files import Wish, facts_of, naming, read_file, update_file
from ..outcome import Context, Failed
from . import file


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    dest = args["dest"]
    with naming(dest):
        if "tree" in args:
            return _tree(args, dest, ctx)
        if "remote_path" in args:
            return _from_vm(args, dest, ctx)
        return _one(args, _final(dest, args.get("_name")), _data(args), ctx)


def _data(args: dict[str, Any]) -> bytes:
    if "data" in args:
        return base64.b64decode(args["data"])
    text: str = args["text"]
    return text.encode("utf-8")


def _final(dest: str, name: str | None) -> str:
    """Where the file goes: into ``dest`` when that is a directory."""
    if dest.endswith("/") or os.path.isdir(dest):
        if not name:
            raise Failed("%s is a directory: dest must name the file when content is given" % dest)
        return os.path.join(dest, name)
    return dest


def _one(args: dict[str, Any], path: str, data: bytes, ctx: Context) -> dict[str, Any]:
    if args.get("follow") and os.path.islink(path):
        path = os.path.realpath(path)
    before = read_file(path)
    if os.path.islink(path):
        # what the link leads to is not what is wanted here, whatever it holds: the link makes way for a file
        before, args = None, dict(args, _new=True)
    facts = {"dest": path, "checksum": _sum("sha1", data)}
    if os.path.lexists(path) and not args.get("force", True):
        there = facts_of(path) if "remote_path" in args else {}
        return dict(there, **facts, changed=False, msg="the file is there, and force is off")
    if args["dest"].endswith("/") and not ctx.check:
        _make_directory(os.path.dirname(path), args, ctx)
    if before != data and not ctx.check:
        # told of a file that travelled, as Ansible has it
        facts["md5sum"] = _sum("md5", data)
    return dict(update_file(path, before, data, args, ctx), **facts)


def _make_directory(path: str, args: dict[str, Any], ctx: Context) -> None:
    """The directory and those above it; what is made gets the wished owner, and ``directory_mode``."""
    if not path or os.path.isdir(path):
        return
    _make_directory(os.path.dirname(path), args, ctx)
    os.mkdir(path)
    Wish(dict(args, mode=args.get("directory_mode"))).apply(path, ctx)


def _sum(algorithm: str, data: bytes) -> str:
    # Python 3.8 cannot be told that no security depends on it
    more = {"usedforsecurity": False} if sys.version_info >= (3, 9) else {}
    return hashlib.new(algorithm, data, **more).hexdigest()


def _from_vm(args: dict[str, Any], dest: str, ctx: Context) -> dict[str, Any]:
    source = args["remote_path"]
    if os.path.isdir(source):
        raise Failed("%s is a directory: copying directories on the VM is not covered" % source)
    data = read_file(source)
    if data is None:
        raise Failed("there is no file %s on the VM" % source)
    if args.get("mode") == "preserve":
        args = dict(args, mode="%04o" % (os.stat(source).st_mode & 0o7777))
    args = dict(args, _copied=source)
    return dict(_one(args, _final(dest, os.path.basename(source)), data, ctx), src=source)


def _tree(args: dict[str, Any], dest: str, ctx: Context) -> dict[str, Any]:
    """What a directory of the controller holds: its files, then its directories, then its links.

    Each directory gets the owner and ``directory_mode``, also one that is there. Links on the VM are followed
    where there are no directories.
    """
    changed = False
    diffs: list[Any] = []
    whose = {word: args[word] for word in ("owner", "group") if args.get(word) is not None}
    flat = all("text" in entry or "data" in entry or "link" in entry for entry in args["tree"])
    for entry in args["tree"]:
        path = os.path.normpath(os.path.join(dest, entry["path"]))
        if "link" in entry:
            wish = dict(whose, path=path, src=entry["link"], state="link", force=True, follow=flat)
            if args.get("mode") not in (None, "preserve"):
                wish["mode"] = args["mode"]
            result = file.run(wish, ctx)
        elif "text" not in entry and "data" not in entry:
            wish = dict(whose, path=path, state="directory", mode=args.get("directory_mode"))
            result = file.run(wish, ctx)
        else:
            if not ctx.check:
                _make_directory(os.path.dirname(path), args, ctx)
            one = {key: value for key, value in args.items() if key not in ("tree", "dest")}
            one.update(entry, dest=path, follow=bool(flat and args.get("follow")))
            result = _one(one, path, _data(entry), ctx)
        changed = changed or bool(result["changed"])
        found = result.get("diff", [])
        diffs.extend([found] if isinstance(found, dict) else found)
    outcome: dict[str, Any] = {"changed": changed, "dest": os.path.join(dest, "")}
    if diffs:
        outcome["diff"] = diffs
    return outcome
