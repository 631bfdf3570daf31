"""``include_vars``: files of variables read during the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labctl.errors import PlaybookError
from labctl.placed import Map
from labctl.playbook.files import merged, read_variables
from labctl.playbook.lookups import LookupFailed, find_file
from labctl.playbook.model import Task
from labctl.playbook.variables import Scope


def read(task: Task, args: Mapping[str, Any], scope: Scope) -> tuple[Map, list[str]]:
    """The variables, templates unrendered, and the files that they stand in.

    Raises PlaybookError; also when text from a VM takes part in a path: it may not choose a file here.
    """
    place = task.args.place
    if scope.touched:
        raise PlaybookError(
            "include_vars: text from the VM takes part in what is to be read here", place=place
        )
    if "dir" in args:
        path = _directory(str(args["dir"]), task)
        if not path.is_dir():
            raise PlaybookError(f"include_vars: {path} is not a directory", place=place)
        paths = _files_in(path, args, task)
    else:
        try:
            paths = [find_file(str(args["file"]), scope.templar.directories, "vars")]
        except LookupFailed as err:
            raise PlaybookError(f"include_vars: {err}", place=place) from err
    variables = merged([read_variables(one, scope.templar) for one in paths], place)
    if args.get("name"):
        whole = Map(place)
        whole.put(str(args["name"]), variables, place, place)
        variables = whole
    return variables, [str(one) for one in paths]


def _directory(name: str, task: Task) -> Path:
    """Where Ansible looks for a directory: in a role's vars/, else beside the file that the task is in."""
    if task.role is None:
        return task.args.place.path.parent / name
    if name.split("/", maxsplit=1)[0] == "vars" and (task.role.path / name).exists():
        return task.role.path / name
    return task.role.path / "vars" / name


def _files_in(directory: Path, args: Mapping[str, Any], task: Task) -> list[Path]:
    extensions = {f".{str(one).lstrip('.')}" for one in args["extensions"]}
    ignored = [re.compile(str(one)) for one in args.get("ignore_files") or []]
    try:
        wanted = re.compile(str(args.get("files_matching") or ""))
    except re.error as err:
        raise PlaybookError(f"include_vars: files_matching: {err}", place=task.args.place) from err
    found = []
    for path in sorted(directory.rglob("*")):
        depth = len(path.relative_to(directory).parts)
        if not path.is_file() or (args["depth"] and depth > args["depth"]):
            continue
        if any(one.search(path.name) for one in ignored) or not wanted.search(path.name):
            continue
        if path.suffix in extensions:
            found.append(path)
        elif not args["ignore_unknown_extensions"]:
            raise PlaybookError(
                f"include_vars: {path} has none of the extensions {', '.join(sorted(extensions))}",
                hint="ignore_unknown_extensions: true passes over such files",
                place=task.args.place,
            )
    return found
