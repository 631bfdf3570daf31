"""Tests of results, versions, truth and vaults."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import total_ordering
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from jinja2.exceptions import UndefinedError

from labctl.documents import Secret
from labctl.playbook.filters.common import FilterArgumentError, shown
from labctl.playbook.schema import FALSE, TRUE
from labctl.playbook.values import check_parts_defined
from labctl.vault import HEADER

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    **dict.fromkeys(("==", "=", "eq"), eq),
    **dict.fromkeys(("!=", "<>", "ne"), ne),
    **dict.fromkeys(("<", "lt"), lt),
    **dict.fromkeys(("<=", "le"), le),
    **dict.fromkeys((">", "gt"), gt),
    **dict.fromkeys((">=", "ge"), ge),
}
_STRICT = re.compile(r"^(\d+)\.(\d+)(\.(\d+))?([ab](\d+))?$", re.ASCII)
_SEMANTIC = re.compile(
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?$",
    re.ASCII,
)


def _loose(text: str) -> list[int | str]:
    """Numbers and words as they come: what Python's distutils compared. They do not mix."""
    return [
        int(part) if part.isdigit() else part
        for part in re.split(r"(\d+|[a-z]+|\.)", text)
        if part not in ("", ".")
    ]


def _strict(text: str) -> Any:
    found = _STRICT.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a version like 1.2, 1.2.3 or 1.2a1")
    major, minor, patch, kind, number = found.group(1, 2, 4, 5, 6)
    # A release comes after its a and b versions.
    return int(major), int(minor), int(patch or 0), (kind[0], int(number)) if kind else ("z", 0)


@total_ordering
class _Part:
    """One part of a semantic pre-release: numbers before words, and by value."""

    def __init__(self, text: str) -> None:
        self.key = (0, int(text), "") if text.isdigit() else (1, 0, text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Part) and self.key == other.key

    def __lt__(self, other: _Part) -> bool:
        return self.key < other.key

    __hash__ = None  # type: ignore[assignment]


def _semantic(text: str) -> Any:
    found = _SEMANTIC.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a version like 1.2.3 or 1.2.3-rc.1")
    before = found[4]
    parts = [_Part(part) for part in before.split(".")] if before else []
    return int(found[1]), int(found[2]), int(found[3]), not before, parts


def version(
    value: Any,
    version: Any,
    operator: str = "eq",
    strict: bool | None = None,
    version_type: str | None = None,
) -> bool:
    if strict is not None and version_type is not None:
        raise FilterArgumentError("version: strict and version_type go not together")
    if not value or not version:
        raise FilterArgumentError("version: there is nothing to compare with")
    kinds = {"loose": _loose, "strict": _strict, "semver": _semantic, "semantic": _semantic}
    kind = "strict" if strict else version_type or "loose"
    if kind not in kinds:
        raise FilterArgumentError(f"version: version_type is {', '.join(kinds)}, not {kind!r}")
    if operator not in _OPERATORS:
        raise FilterArgumentError(f"version: no comparison {operator!r}")
    try:
        first, second = kinds[kind](str(value)), kinds[kind](str(version))
        # The order is asked for even where only equality counts: numbers and words have none.
        order = 0 if first == second else -1 if first < second else 1
        return _OPERATORS[operator](order, 0)
    except (ValueError, TypeError, UndefinedError) as err:
        raise FilterArgumentError(
            f"version: {shown(value)} and {shown(version)} cannot be compared: {err}"
        ) from err


def _result(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise FilterArgumentError(f"the test {name!r} takes a registered result, not {shown(value)}")
    return value


def _flag(name: str) -> Callable[[Any], bool]:
    return lambda value: bool(_result(name, value).get(name))


def _not(test: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: not test(value)


def is_changed(value: Any) -> bool:
    result = _result("changed", value)
    items = result.get("results")
    if "changed" in result or not isinstance(items, list) or not items or not isinstance(items[0], Mapping):
        return bool(result.get("changed"))
    return any(item.get("changed") for item in items)


def is_timedout(value: Any) -> bool:
    waited = _result("timedout", value).get("timedout")
    return bool(waited and waited.get("period"))


def truthy(value: Any, convert_bool: bool = False) -> bool:
    if convert_bool and isinstance(value, str):
        word = value.lower().strip()
        return word in TRUE if word in TRUE | FALSE else bool(value)
    if convert_bool and isinstance(value, tuple):
        # Ansible looks for it in a set: its undefined part is an error, unless one before that is a list
        with suppress(TypeError):
            hash(value)
    elif convert_bool:
        check_parts_defined(value)
    return bool(value)


def falsy(value: Any, convert_bool: bool = False) -> bool:
    return not truthy(value, convert_bool)


def is_vault_encrypted(value: Any) -> bool:
    return isinstance(value, Secret) or (isinstance(value, str) and value.startswith(HEADER.decode()))


_FAILED = _flag("failed")
_UNREACHABLE = _flag("unreachable")
_SKIPPED = _flag("skipped")
TESTS: dict[str, Callable[..., Any]] = {
    "change": is_changed,
    "changed": is_changed,
    "failed": _FAILED,
    "failure": _FAILED,
    "falsy": falsy,
    "reachable": _not(_UNREACHABLE),
    "skip": _SKIPPED,
    "skipped": _SKIPPED,
    "succeeded": _not(_FAILED),
    "success": _not(_FAILED),
    "successful": _not(_FAILED),
    "timedout": is_timedout,
    "truthy": truthy,
    "unreachable": _UNREACHABLE,
    "vault_encrypted": is_vault_encrypted,
    "version": version,
    "version_compare": version,
}
