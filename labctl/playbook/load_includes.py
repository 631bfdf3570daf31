"""import_tasks, include_tasks, import_role, include_role: tasks that stand in other files.

An import is made when the playbook is loaded and passes all its words on. An include is a task of its
own: what it names is loaded when the run reaches it, and inherits only what the include itself stands
in, and ``apply:``. A file that an include names without a template is read at once all the same, so
that its mistakes are found before anything is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from labctl.errors import PlaybookError
from labctl.placed import Map
from labctl.playbook import files, keywords, load_roles
from labctl.playbook.inherited import Inherited
from labctl.playbook.load_roles import RoleCall
from labctl.playbook.model import Block, Included, Task
from labctl.playbook.template import is_template

IMPORTS = frozenset({"import_tasks", "import_role"})
INCLUDES = frozenset({"include_tasks", "include_role"})
_PARTS = ("tasks", "vars", "defaults", "handlers")

Load = Callable[[Mapping[str, Any]], Included]


def imported(
    name: str, args: Map, item: Map, inherited: Inherited, *, handlers: bool
) -> tuple[Task | Block, ...]:
    """What ``import_tasks`` or ``import_role`` puts in its place."""
    for word in args:
        if isinstance(args[word], str) and is_template(args[word]):
            raise PlaybookError(
                f"{name} is carried out before the run and cannot depend on a variable",
                hint=f"use include_{name.removeprefix('import_')}",
                place=args.at(word),
            )
    inner = inherited.under(item)
    if name == "import_role":
        if handlers:
            raise PlaybookError("import_role cannot be a handler", place=item.place)
        call = _call(args, item.get("vars") or {}, once=args.get("allow_duplicates") is False)
        loaded = load_roles.load_role(call, inner)
        inner.files.found.handlers.extend(loaded.handlers)
        if args.get("public", True):
            inner.files.found.roles.extend(loaded.roles)
        return tuple(loaded.items)
    path = inner.files.find_tasks(str(args["file"]), _directories(inner), args.at("file"))
    if path.resolve() in inner.importing:
        chain = " -> ".join(one.name for one in (*inner.importing, path))
        raise PlaybookError(f"files import each other in a circle: {chain}", place=args.at("file"))
    inner = replace(inner.in_file(path), importing=(*inner.importing, path.resolve()))
    tasks = files.read_tasks(path)
    return inner.read.handlers(tasks, inner) if handlers else inner.read.items(tasks, inner)


def include(name: str, args: Map, item: Map, inherited: Inherited) -> Load:
    """The loader of an ``include_tasks`` or ``include_role``."""
    inner = inherited
    applied = args.get("apply")
    if applied is not None:
        if not isinstance(applied, Map):
            raise PlaybookError("apply is a mapping of words: tags: ...", place=args.at("apply"))
        keywords.check_words(applied, keywords.BLOCK - {"block", "rescue", "always"}, "apply")
        inner = inherited.under(applied)
    # What a dynamic include names may name it again: the run decides how often.
    inner = replace(inner, importing=())
    load = _role_loader(args, item, inner) if name == "include_role" else _task_loader(args, inner)
    _check_now(args, load, inner)
    return load


def _check_now(args: Map, load: Load, inner: Inherited) -> None:
    words = {word: value for word, value in args.items() if word != "apply"}
    if any(isinstance(value, str) and is_template(value) for value in words.values()):
        return
    # An include inside of what is being looked at may lead back to it.
    mark = tuple(sorted((str(word), str(value)) for word, value in words.items()))
    if mark in inner.files.checking:
        return
    inner.files.checking.append(mark)
    try:
        load(words)
    finally:
        inner.files.checking.remove(mark)


def _task_loader(args: Map, inner: Inherited) -> Load:
    kept: dict[Path, Included] = {}

    def load(given: Mapping[str, Any]) -> Included:
        path = inner.files.find_tasks(str(given["file"]), _directories(inner), args.at("file"))
        with inner.files.loading, inner.files.collecting() as found:
            if path not in kept:
                items = inner.read.items(files.read_tasks(path), inner.in_file(path))
                kept[path] = Included(items, tuple(found.handlers), tuple(found.roles))
            return kept[path]

    return load


def _role_loader(args: Map, item: Map, inner: Inherited) -> Load:
    kept: dict[tuple[str, ...], Included] = {}
    variables = item.get("vars") or {}

    def load(given: Mapping[str, Any]) -> Included:
        words = Map(args.place)
        for word, value in given.items():
            words.put(word, value, args.key_at(word), args.at(word))
        key = tuple(str(words.get(word)) for word in ("name", *(f"{part}_from" for part in _PARTS)))
        with inner.files.loading, inner.files.collecting() as found:
            if key not in kept:
                role = load_roles.load_role(_call(words, variables), inner)
                public = (*found.roles, *role.roles) if words.get("public") else tuple(found.roles)
                handlers = (*found.handlers, *role.handlers)
                names = tuple(one.name for one in role.roles if not one.needed)
                kept[key] = Included(tuple(role.items), handlers, public, names)
            return kept[key]

    return load


def _call(args: Map, variables: Mapping[str, Any], *, once: bool = False) -> RoleCall:
    parts = {part: str(args[f"{part}_from"]) for part in _PARTS if args.get(f"{part}_from") is not None}
    return RoleCall(str(args["name"]), args.at("name"), variables, {}, parts, once)


def _directories(inner: Inherited) -> list[Path]:
    """Where a file of tasks is searched before the playbook's directory: beside this one, in the role."""
    part = "handlers" if inner.file.parent.name == "handlers" else "tasks"
    return [inner.file.parent, *(role.path / part for role in reversed(inner.chain[-1:]))]
