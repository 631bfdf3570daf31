"""What the controller adds to a task before the VM sees it: a template's text, a file's bytes."""

from __future__ import annotations

import base64
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.errors import PlaybookError
from labctl.playbook.lookups import LookupFailed, find_file
from labctl.playbook.model import Task
from labctl.playbook.schema import to_text
from labctl.playbook.variables import Scope

# One request may hold this much: a file beyond it has no place in a lab's playbook.
_MAX_FILE = 16 << 20


def complete(task: Task, args: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Arguments for the agent's copy module: ``text`` or ``data`` (base64), or ``tree`` for a directory."""
    remote = {key: value for key, value in args.items() if key not in ("src", "content")}
    if task.module.name == "template":
        return {**remote, **_template(task, args, scope)}
    if "content" in args:
        content = args["content"]
        remote["text"] = to_text(content)
        return remote
    if args.get("remote_src"):
        return {**remote, "remote_path": args["src"]}
    return {**remote, **_copy(task, args, scope)}


def _find(task: Task, name: str, scope: Scope, kind: str) -> Path:
    place = task.args.value.at("src")
    if scope.touched:
        # One flag for all arguments: a template's text may well hold a VM's data, its path may not.
        scope.touched = False
        scope.templar.render(task.args.value["src"], place, scope)
        if scope.touched:
            raise PlaybookError(
                f"text from the VM takes part in the path {name!r}: it may not choose a file here",
                place=place,
            )
    try:
        return find_file(name, scope.templar.directories, kind)
    except LookupFailed as err:
        raise PlaybookError(f"{task.module.name}: {err}", place=place) from err


def _template(task: Task, args: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    path = _find(task, args["src"], scope, "templates")
    text = scope.templar.render_file(
        path, scope, trim_blocks=args["trim_blocks"], lstrip_blocks=args["lstrip_blocks"]
    )
    newline = args["newline_sequence"]
    return {
        "text": text if newline == "\n" else text.replace("\n", newline),
        "_name": path.name,  # with its .j2: the name in a directory is Ansible's
        "_source": str(path),
    }


def _copy(task: Task, args: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    path = _find(task, args["src"], scope, "files")
    if not path.is_dir():
        return {**_bytes(path, task), "_name": path.name, **_mode(args, path)}
    top = path if args["src"].endswith("/") else path.parent
    tree = []
    for where, _directories, names in os.walk(path):
        for name in sorted(names):
            file = Path(where, name)
            tree.append({"path": str(file.relative_to(top)), **_bytes(file, task), **_mode(args, file)})
    return {"tree": tree}


def _mode(args: Mapping[str, Any], path: Path) -> dict[str, str]:
    return {"mode": f"{stat.S_IMODE(path.stat().st_mode):04o}"} if args.get("mode") == "preserve" else {}


def _bytes(path: Path, task: Task) -> dict[str, str]:
    try:
        if path.stat().st_size > _MAX_FILE:
            raise PlaybookError(
                f"{path} has more than {_MAX_FILE >> 20} MiB: too large to send",
                place=task.args.value.at("src"),
            )
        data = path.read_bytes()
    except OSError as err:
        raise PlaybookError(f"cannot read {path}: {err.strerror}", place=task.args.value.at("src")) from err
    try:
        return {"text": data.decode("utf-8")}
    except UnicodeDecodeError:
        return {"data": base64.b64encode(data).decode("ascii")}
