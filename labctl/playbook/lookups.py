"""``lookup('file' | 'env' | 'template' | 'vars', ...)``: what a template may fetch from this machine.

A path that text from a VM took part in is refused, unless it is written out in the template: a VM must not
choose what is read here.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2.utils import missing

from labctl import vault
from labctl.errors import PlaybookError
from labctl.playbook.schema import BadValue, to_bool
from labctl.playbook.values import LazyList, Missing, NoValue, Used

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


#: The option of a lookup whose terms are constants of the template: nobody but its author chose them.
LITERAL = "literal_terms"


def _trusted_path(scope: Scope, name: str, kind: str, options: Mapping[str, Any]) -> Path:
    if scope.touched and not options.get(LITERAL):
        raise LookupFailed(f"text from the VM takes part in the path {name!r}: it may not choose a file here")
    return find_file(name, scope.templar.directories, kind)


def _file(scope: Scope, terms: Sequence[str], options: Mapping[str, Any]) -> list[Any]:
    lstrip, rstrip = (to_bool(options.get(word, word == "rstrip")) for word in ("lstrip", "rstrip"))
    found = []
    for term in terms:
        path = _trusted_path(scope, term, "files", options)
        try:
            data = path.read_bytes()
            text = vault.opened(data, path, PlaybookError).decode("utf-8")
        except (OSError, UnicodeDecodeError) as err:
            raise LookupFailed(f"cannot read {path}: {err}") from err
        if vault.is_vaulted(data):
            vault.hide(text)
        text = text.lstrip() if lstrip else text
        found.append(text.rstrip() if rstrip else text)
    return found


def _env(_scope: Scope, terms: Sequence[str], options: Mapping[str, Any]) -> list[Any]:
    found = []
    for term in terms:
        name, *_more = term.split() or [""]
        if not name:
            raise LookupFailed("the lookup 'env' takes the names of environment variables")
        default = options.get("default")
        found.append(os.environ.get(name, "" if default is None else default))
    return found


def _template(scope: Scope, terms: Sequence[str], options: Mapping[str, Any]) -> list[Any]:
    trim_blocks = to_bool(options.get("trim_blocks", True))
    found: list[Any] = []
    for path in [_trusted_path(scope, term, "templates", options) for term in terms]:
        try:
            value = scope.templar.value_of_file(path, scope, trim_blocks=trim_blocks)
            if vault.is_vaulted(path.read_bytes()):
                vault.hide(value)
            found.append(value)
        except PlaybookError as err:
            if not isinstance(err.__cause__, Used):
                raise
            found.append(Missing(hint=str(err)))
    return found


def _vars(scope: Scope, terms: Sequence[str], options: Mapping[str, Any]) -> list[Any]:
    found = []
    for term in terms:
        value = scope.lookup(term)
        if value is missing:
            value = options.get("default")
            value = Missing(name=term) if value is None else value
        found.append(value)
    return found


@dataclass(frozen=True)
class Lookup:
    """One plugin: how it finds a value for each term, and the options that it takes."""

    find: Callable[[Scope, Sequence[str], Mapping[str, Any]], list[Any]]
    options: frozenset[str]
    #: Of these an undefined one is a value like any other.
    takes_undefined: frozenset[str] = frozenset()


LOOKUPS: dict[str, Lookup] = {
    "env": Lookup(_env, frozenset({"default"}), frozenset({"default"})),
    "file": Lookup(_file, frozenset({"lstrip", "rstrip"})),
    "template": Lookup(_template, frozenset({"trim_blocks"})),
    "vars": Lookup(_vars, frozenset({"default"})),
}


def look_up(
    scope: Scope, name: str, terms: Sequence[Any], options: Mapping[str, Any], *, as_list: bool = False
) -> Any:
    """What ``lookup(name, *terms, **options)`` gives: a term's value, or those of several.

    Several are one text with commas when they all are text. ``as_list`` and the option ``wantlist``
    leave them a list. Raises LookupFailed for an option that is not covered, and for what is not found
    unless the option ``errors`` is ``ignore``. What a template makes of something undefined is.
    """
    short = name.removeprefix("ansible.builtin.")
    if short not in LOOKUPS:
        raise LookupFailed(f"there is no lookup {name!r}: {', '.join(sorted(LOOKUPS))} are covered")
    given = dict(options)
    as_list = bool(given.pop("wantlist", False)) or as_list
    ignored = given.pop("errors", "strict") == "ignore"
    unknown = sorted(set(given) - LOOKUPS[short].options - {LITERAL})
    if unknown:
        raise LookupFailed(f"the option {unknown[0]!r} of the lookup {short!r} is not covered")
    may_be_undefined = LOOKUPS[short].takes_undefined
    for value in (*terms, *(value for word, value in given.items() if word not in may_be_undefined)):
        if isinstance(value, NoValue):
            return value
    try:
        found = _found(LOOKUPS[short], scope, terms, given)
    except (LookupFailed, PlaybookError, BadValue):
        if not ignored:
            raise
        return [] if as_list else None
    if as_list or not found:
        # an undefined part of it is one for whom it is read by, as in a variable
        return LazyList(found, scope, found.__getitem__)
    if len(found) == 1:
        return found[0]
    return ",".join(found) if all(isinstance(one, str) for one in found) else found


def _found(lookup: Lookup, scope: Scope, terms: Sequence[Any], options: Mapping[str, Any]) -> list[Any]:
    for term in terms:
        if not isinstance(term, str):
            raise LookupFailed(f"a lookup takes text, not {type(term).__name__}")
    default = options.get("default")
    not_data = not isinstance(default, NoValue) and (callable(default) or hasattr(default, "__html__"))
    if not_data or isinstance(default, range):
        raise LookupFailed(f"{type(default).__name__} is no type of a default")
    return lookup.find(scope, terms, options)
