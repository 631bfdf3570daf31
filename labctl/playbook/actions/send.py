"""What the controller adds to a task before the VM sees it: a template's text, a file's bytes."""

from __future__ import annotations

import base64
import io
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl import vault
from labctl.errors import Place, PlaybookError
from labctl.playbook.actions import fetch
from labctl.playbook.actions.tree import walk
from labctl.playbook.kv import split_words
from labctl.playbook.lookups import LookupFailed, find_file
from labctl.playbook.model import Task
from labctl.playbook.schema import to_text
from labctl.playbook.variables import Scope

# One request may hold this much: a file beyond it has no place in a lab's playbook.
_MAX_FILE = 16 << 20


def complete(task: Task, args: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """The arguments with what only the controller has.

    copy and template: ``text`` or ``data`` (base64), or ``tree`` for a directory. script: the program's
    text and the words after its name. fetch: ``_dest``, where on this machine. ``_vaulted`` says that a
    vault held what is sent: its diff is not for showing.
    """
    if task.module.name == "fetch":
        return {**args, "_dest": str(fetch.destination(task, args, scope))}
    if task.module.where == "link":
        return dict(args)
    if task.module.name == "script":
        return {**args, **_script(task, str(args["cmd"]), scope)}
    remote = {key: value for key, value in args.items() if key not in ("src", "content", "decrypt")}
    if task.module.name == "template":
        return {**remote, **_template(task, args, scope)}
    if "content" in args:
        content = args["content"]
        remote["text"] = to_text(content)
        return remote
    if args.get("remote_src"):
        return {**remote, "remote_path": args["src"]}
    return {**remote, **_copy(task, args, scope)}


def _script(task: Task, command: str, scope: Scope) -> dict[str, Any]:
    """``command`` is the program's path here and what it is given, which may be the VM's words."""
    written, place = _written(task, "cmd")
    words = io.StringIO(command.strip())
    lexer = shlex.shlex(words, posix=True, punctuation_chars=False)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        name = lexer.get_token() or ""
    except ValueError as err:
        raise PlaybookError(f"script: {err} in {command!r}", place=place) from err
    first = written
    if scope.touched and isinstance(written, str):
        # Only its first word is the path. Were that not so, the names would not be the same.
        first = (split_words(written) or [""])[0]
        shown = str(scope.templar.render(first, place, scope))
        if shlex.split(shown)[:1] != [name]:
            raise PlaybookError(f"script: where does the path end in {written!r}?", place=place)
    path = _find(task, name, scope, "files", written=first, place=place)
    if not path.is_file():
        raise PlaybookError(f"script: {path} is not a file", place=place)
    return {**_bytes(path, {}, task, place), "_name": path.name, "rest": words.read().strip()}


def _written(task: Task, parameter: str) -> tuple[Any, Place]:
    """A parameter as the playbook spells and writes it."""
    word = next(word for word in task.args.value if task.module.canonical(word) == parameter)
    return task.args.value[word], task.args.value.at(word)


def _find(
    task: Task, name: str, scope: Scope, kind: str, *, written: Any = None, place: Place | None = None
) -> Path:
    if place is None:
        written, place = task.args.value["src"], task.args.value.at("src")
    if scope.touched:
        # One flag for all arguments: a template's text may well hold a VM's data, its path may not.
        scope.touched = False
        scope.templar.render(written, place, scope)
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
        path,
        scope,
        trim_blocks=args["trim_blocks"],
        lstrip_blocks=args["lstrip_blocks"],
        newline=args["newline_sequence"].replace("\\r", "\r").replace("\\n", "\n"),
    )
    return {
        "text": text,
        "_name": path.name,  # with its .j2: the name in a directory is Ansible's
        "_source": str(path),
        **_mode(args, path),
        **({"_vaulted": True} if _is_vault(path) else {}),
    }


def _copy(task: Task, args: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    path = _find(task, args["src"], scope, "files")
    if not path.is_dir():
        return {**_bytes(path, args, task), "_name": path.name, **_mode(args, path)}
    base = "" if args["src"].endswith("/") else f"{path.name}/"
    try:
        found = walk(path)
    except OSError as err:
        place = task.args.value.at("src")
        raise PlaybookError(f"cannot read {err.filename}: {err.strerror}", place=place) from err
    tree: list[dict[str, Any]] = [
        {"path": base + name, **_bytes(file, args, task), **_mode(args, file)} for file, name in found.files
    ]
    hidden = any(entry.pop("_vaulted", False) for entry in tree)
    tree += [{"path": base + name} for name in found.directories]
    tree += [{"path": base + name, "link": target} for target, name in found.links]
    return {"tree": tree, **({"_vaulted": True} if hidden else {})}


def _is_vault(path: Path) -> bool:
    with path.open("rb") as file:
        return vault.is_vaulted(file.read(len(vault.HEADER)))


def _mode(args: Mapping[str, Any], path: Path) -> dict[str, str]:
    return {"mode": f"{stat.S_IMODE(path.stat().st_mode):04o}"} if args.get("mode") == "preserve" else {}


def _bytes(path: Path, args: Mapping[str, Any], task: Task, place: Place | None = None) -> dict[str, Any]:
    place = place or task.args.value.at("src")
    try:
        if path.stat().st_size > _MAX_FILE:
            raise PlaybookError(
                f"{path} has more than {_MAX_FILE >> 20} MiB: too large to send",
                place=place,
            )
        opened = args.get("decrypt", True) and _is_vault(path)
        data = vault.read_file(path, PlaybookError) if opened else path.read_bytes()
    except OSError as err:
        raise PlaybookError(f"cannot read {path}: {err.strerror}", place=place) from err
    hidden = {"_vaulted": True} if opened else {}
    try:
        return {"text": data.decode("utf-8"), **hidden}
    except UnicodeDecodeError:
        return {"data": base64.b64encode(data).decode("ascii"), **hidden}
