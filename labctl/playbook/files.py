"""The files that a play is made of: task files, files of variables, roles; where they are searched."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labctl.documents import load_yaml, start_of
from labctl.errors import Place, PlaybookError
from labctl.placed import Map, Seq
from labctl.playbook.model import Role, Task
from labctl.playbook.template import Templar

_EXTENSIONS = (".yml", ".yaml", ".json")
# Where Ansible looks for roles that no playbook has beside it.
_ROLE_PATHS = ("~/.ansible/roles", "/usr/share/ansible/roles", "/etc/ansible/roles")


@dataclass
class Found:
    """What roles bring to their play besides tasks."""

    roles: list[Role] = field(default_factory=list)
    handlers: list[Task] = field(default_factory=list)


class PlayFiles:
    """Where a play's files are searched. ``directory`` is its playbook's.

    ``template_dirs`` (a course's templates) come after all that Ansible searches.
    """

    def __init__(self, directory: Path, template_dirs: Sequence[Path] = ()) -> None:
        self.directory = directory.resolve()
        self.template_dirs = tuple(template_dirs)
        #: Held while an include loads a file: the hosts' threads share what it gives.
        self.loading = threading.RLock()
        #: What the roles that were read bring to the play.
        self.found = Found()
        #: Includes that are being looked at.
        self.checking: list[tuple[tuple[str, str], ...]] = []
        self._templars: dict[tuple[Path, ...], Templar] = {}

    def templar(self, first: Iterable[Path] = ()) -> Templar:
        """One that searches ``first``, then the playbook's directory and the course's."""
        directories = tuple(dict.fromkeys((*first, self.directory, *self.template_dirs)))
        if directories not in self._templars:
            self._templars[directories] = Templar(directories)
        return self._templars[directories]

    @contextmanager
    def collecting(self) -> Iterator[Found]:
        """What roles bring while this is open goes to what it gives, not to the play."""
        outer, self.found = self.found, Found()
        try:
            yield self.found
        finally:
            self.found = outer

    def find_tasks(self, name: str, directories: Iterable[Path], place: Place) -> Path:
        """The file of tasks that ``name`` means in one of ``directories`` or the playbook's."""
        listed = list(dict.fromkeys((*directories, self.directory)))
        for directory in listed:
            path = directory / Path(name).expanduser()
            if path.is_file():
                return path
        searched = ", ".join(str(directory / name) for directory in listed)
        raise PlaybookError(f"there is no file {name!r} (looked for {searched})", place=place)

    def find_role(self, name: str, beside: Iterable[Path], place: Place) -> Path:
        """The directory of a role; ``beside`` are the directories of the roles that call it."""
        listed = [
            self.directory / "roles",
            *(Path(path).expanduser() for path in _ROLE_PATHS),
            *(path.parent for path in beside),
            self.directory,
        ]
        for directory in listed:
            if (directory / name).is_dir():
                return (directory / name).resolve()
        raise PlaybookError(
            f"there is no role {name!r}",
            hint=f"labctl looked in {', '.join(map(str, dict.fromkeys(listed)))}",
            place=place,
        )


def read_tasks(path: Path) -> Seq:
    """A file's list of tasks or handlers; an empty file is an empty list."""
    loaded = load_yaml(path, PlaybookError)
    if loaded is None:
        return Seq(Place(path, 1, 1))
    if not isinstance(loaded, Seq):
        raise PlaybookError(
            "a file of tasks is a list: - name: ...", hint=_not_tasks(loaded), place=start_of(loaded, path)
        )
    return loaded


def _not_tasks(loaded: Any) -> str:
    if isinstance(loaded, Map) and "tasks" in loaded:
        return "leave out hosts: and tasks:, and write the tasks themselves from the first column on"
    return ""


def read_variables(path: Path, templar: Templar) -> Map:
    """A file of variables, their names checked and templates compiled; an empty file is an empty mapping."""
    loaded = load_yaml(path, PlaybookError)
    if loaded is None:
        return Map(Place(path, 1, 1))
    if not isinstance(loaded, Map):
        raise PlaybookError("a file of variables is a mapping: name: value", place=start_of(loaded, path))
    check_variable_names(loaded, templar)
    return loaded


def check_variable_names(variables: Map, templar: Templar) -> None:
    """Variable names must be usable in a template; their values' templates must compile."""
    for name in variables:
        if not (isinstance(name, str) and name.isidentifier()):
            raise PlaybookError(
                f"{name!r} cannot be a variable's name: use letters, digits and _",
                place=variables.key_at(name),
            )
        templar.check(variables[name], variables.at(name))


def merged(maps: Sequence[Map], place: Place) -> Map:
    """One mapping, later ones winning, every value with its own place."""
    whole = Map(place)
    for one in maps:
        for key, value in one.items():
            whole.put(key, value, one.key_at(key), one.at(key))
    return whole


def role_files(
    role: Path, part: str, main: str | None, place: Place, *, directory: bool = False
) -> list[Path]:
    """The files of a role's ``part`` (tasks, vars, ...): ``main`` with the extensions that YAML has.

    ``directory``: it may be a directory, all of whose files count. Without ``main`` there may be none;
    with one that is missing, PlaybookError.
    """
    where = role / part
    names = (
        [f"main{ext}" for ext in (*_EXTENSIONS, "")]
        if main is None
        else [f"{main}{ext}" for ext in ("", *_EXTENSIONS)]
    )
    for name in names:
        path = where / name
        if path.is_file():
            if not path.resolve().is_relative_to(where.resolve()):
                raise PlaybookError(f"{path} lies outside of the role's {part}/", place=place)
            return [path]
        if directory and path.is_dir():
            return sorted(file for file in path.rglob("*") if file.is_file() and file.suffix in _EXTENSIONS)
    if main is None:
        return []
    raise PlaybookError(f"the role has no file {part}/{main} (looked in {where})", place=place)
