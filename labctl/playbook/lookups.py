"""``lookup('file' | 'env' | 'template' | 'vars', ...)``: what a template may fetch from this machine.

A path that text from a VM took part in is refused: a VM must not choose what is read here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2.utils import missing

from labctl import vault
from labctl.errors import PlaybookError
from labctl.playbook.values import Missing

if TYPE_CHECKING:
    from labctl.playbook.variables import Scope


class LookupFailed(Exception):
    """A lookup found nothing, or may not look there."""


def find_file(name: str, directories: Sequence[Path], kind: str = "files") -> Path:
    """``name`` as Ansible searches it: ``<dir>/<kind>/name`` then ``<dir>/name`` for each directory."""
    path = Path(name).expanduser()
    if path.is_absolute():
        candidates = [path]
    else:
        candidates = [
            where for directory in directories for where in (directory / kind / path, directory / path)
        ]
    for candidate in candidates:
        if candidate.exists():
            return candidate
    searched = ", ".join(str(candidate) for candidate in candidates)
    raise LookupFailed(f"there is no file {name!r} (looked for {searched})")


def _trusted_path(scope: Scope, name: str, kind: str) -> Path:
    if scope.touched:
        raise LookupFailed(f"text from the VM takes part in the path {name!r}: it may not choose a file here")
    return find_file(name, scope.templar.directories, kind)


def _file(scope: Scope, terms: list[str], options: Mapping[str, Any]) -> list[Any]:
    found = []
    for term in terms:
        path = _trusted_path(scope, term, "files")
        try:
            text = vault.read_file(path, PlaybookError).decode("utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise LookupFailed(f"cannot read {path}: {err}") from err
        found.append(text.rstrip() if options.get("rstrip", True) else text)
    return found


def _env(_scope: Scope, terms: list[str], options: Mapping[str, Any]) -> list[Any]:
    return [os.environ.get(term, options.get("default", "")) for term in terms]


def _template(scope: Scope, terms: list[str], _options: Mapping[str, Any]) -> list[Any]:
    return [scope.templar.render_file(_trusted_path(scope, term, "templates"), scope) for term in terms]


def _vars(scope: Scope, terms: list[str], options: Mapping[str, Any]) -> list[Any]:
    found = []
    for term in terms:
        value = scope.lookup(term)
        if value is missing:
            value = options.get("default")
            value = Missing(name=term) if value is None else value
        found.append(value)
    return found


LOOKUPS: dict[str, Callable[[Scope, list[str], Mapping[str, Any]], list[Any]]] = {
    "env": _env,
    "file": _file,
    "template": _template,
    "vars": _vars,
}
