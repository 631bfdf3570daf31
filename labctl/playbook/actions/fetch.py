"""fetch: a file of the VM, kept on the controller. Only the playbook says where."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.agent import Op
from labctl.errors import PlaybookError
from labctl.files import replacing
from labctl.playbook.model import Task
from labctl.playbook.variables import Scope

if TYPE_CHECKING:
    from labctl.playbook.actions.link import How, Link

#: A VM may make this controller store so much for one task, and no more.
MAX_BYTES = 64 << 20
_OP_SECONDS = 60.0


class _Refused(Exception):
    """The file cannot be kept; the message says why, ``told`` what else belongs in the task's result."""

    def __init__(self, message: str, told: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.told = told or {}


def destination(task: Task, args: Mapping[str, Any], scope: Scope) -> Path:
    """``dest`` on this machine, relative to the playbook. Raises PlaybookError for a VM's word in it."""
    place = task.args.value.at("dest")
    if scope.touched:
        # One flag for all arguments: ``src`` may well come from the VM, ``dest`` may not.
        scope.touched = False
        scope.templar.render(task.args.value["dest"], place, scope)
        if scope.touched:
            raise PlaybookError(
                f"text from the VM takes part in the path {args['dest']!r}: it may not choose a file here",
                place=place,
            )
    home = Path(str(scope.templar.render("{{ playbook_dir }}", place, scope)))
    return home / Path(os.path.expandvars(args["dest"])).expanduser()


def run(args: Mapping[str, Any], session: Link, how: How) -> dict[str, Any]:
    """Fetch one file. Its parts come in as many calls as it needs, usually one."""
    if how.check:
        return {
            "changed": False,
            "skipped": True,
            "msg": "check mode not (yet) supported for this module",
        }
    source = str(args["src"])
    try:
        return _fetch(args, source, session, how)
    except _Refused as err:
        return {**err.told, "failed": True, "changed": False, "msg": str(err), "file": source}
    except (OSError, ValueError) as err:
        told = err.strerror if isinstance(err, OSError) and err.strerror else str(err)
        return {"failed": True, "changed": False, "msg": f"cannot keep {source}: {told}", "file": source}


def _file(args: Mapping[str, Any], source: str, host: str) -> Path:
    """Where it goes: ``dest`` itself, or below it by host and path, never outside."""
    dest, as_directory = Path(args["_dest"]), str(args["dest"]).endswith("/")
    # What `..` would lead to is cut off at the root of the host's own directory.
    inside = posixpath.normpath("/" + source).lstrip("/")
    if not inside:
        raise _Refused("src is a directory: fetch takes a file")
    if not args["flat"]:
        return dest / host / inside
    if not as_directory:
        if dest.is_dir():
            raise _Refused(
                "dest is an existing directory, use a trailing slash if you want to fetch src into that "
                "directory"
            )
        return dest
    dest = dest / posixpath.basename(inside)
    if dest.is_dir():
        raise _Refused(f"dest {dest} is an existing directory: name another path")
    return dest


def _fetch(args: Mapping[str, Any], source: str, session: Link, how: How) -> dict[str, Any]:
    from labctl.playbook.actions.link import ask

    # A home directory is the VM's to name: only then is it not known before whether the file is here.
    dest = None if source.startswith("~") else _file(args, source, session.host.name)
    here = _digest(dest) if dest else None
    first = ask(session, Op("modules.fetch", {"src": source, "have": here}, deadline=_OP_SECONDS), how)
    if first.get("failed"):
        if args["fail_on_missing"] or first.get("_fault"):
            return {**first, "file": source}
        return {"changed": False, "file": source, "msg": f"{first.get('msg')}, not transferring, ignored"}
    if dest is None:
        source = str(first.get("path"))
        dest = _file(args, source, session.host.name)
        here = _digest(dest)
    there = str(first.get("checksum"))
    if here is not None and there == here:
        md5 = _digest(dest, "md5")
        return {"changed": False, "md5sum": md5, "file": source, "dest": str(dest), "checksum": here}
    dest.parent.mkdir(parents=True, exist_ok=True)
    sha1, md5sum = hashlib.sha1(usedforsecurity=False), hashlib.md5(usedforsecurity=False)
    told = {"dest": str(dest), "remote_md5sum": None, "remote_checksum": there}
    with replacing(dest) as file:
        for data in _parts(first, source, session, how):
            sha1.update(data)
            md5sum.update(data)
            file.write(data)
        told.update(md5sum=md5sum.hexdigest(), checksum=sha1.hexdigest())
        if args["validate_checksum"] and there != sha1.hexdigest():
            raise _Refused(
                "checksum mismatch: the file changed while it was fetched; what was here is kept", told
            )
    return {**told, "changed": True}


def _parts(first: Mapping[str, Any], source: str, session: Link, how: How) -> Iterator[bytes]:
    """The file's bytes, part by part; the VM's word on where they end is only believed up to a bound."""
    from labctl.playbook.actions.link import ask

    answer, taken = first, 0
    while True:
        try:
            data = base64.b64decode(str(answer.get("content", "")), validate=True)
        except binascii.Error as err:
            raise _Refused("the VM sent something that is not base64") from err
        taken += len(data)
        if taken > MAX_BYTES:
            raise _Refused(f"{source} has more than {MAX_BYTES >> 20} MiB: too large to fetch")
        yield data
        if not answer.get("more") or not data:
            return
        answer = ask(
            session, Op("modules.fetch", {"src": source, "offset": taken}, deadline=_OP_SECONDS), how
        )
        if answer.get("failed"):
            raise _Refused(f"{source} was there and is not any more: {answer.get('msg')}")


def _digest(path: Path, kind: str = "sha1") -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
