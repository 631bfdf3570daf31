"""Ansible's filters and tests that labs use, beyond those that Jinja brings.

Plain functions of their arguments: none reads a file, starts a process or sees a variable.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from itertools import zip_longest
from typing import Any

import yaml
from jinja2 import Undefined
from jinja2.exceptions import FilterArgumentError, UndefinedError

from labctl.documents import Secret
from labctl.playbook.schema import FALSE, TRUE

# A pattern comes from the playbook, but may meet text from a VM: this bounds what it is run over.
_MATCH_LIMIT = 1 << 20


def _text(value: Any) -> str:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    return value if isinstance(value, str) else str(value)


def _flags(ignorecase: bool, multiline: bool) -> int:
    return (re.IGNORECASE if ignorecase else 0) | (re.MULTILINE if multiline else 0)


def _compile(pattern: str, flags: int) -> re.Pattern[str]:
    try:
        return re.compile(pattern, flags)
    except re.error as err:
        raise FilterArgumentError(f"{pattern!r} is not a regular expression: {err}") from err


def to_bool(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    raise FilterArgumentError(f"{value!r} is not a boolean")


def mandatory(value: Any, msg: str | None = None) -> Any:
    if isinstance(value, Undefined):
        name = value._undefined_name
        raise UndefinedError(msg or f"the mandatory variable {name!r} is not defined")
    return value


def to_json(value: Any, indent: int | None = None, sort_keys: bool = False) -> str:
    return json.dumps(value, indent=indent, sort_keys=sort_keys, default=_plain, ensure_ascii=False)


def to_nice_json(value: Any, indent: int = 4, sort_keys: bool = True) -> str:
    return json.dumps(
        value, indent=indent, sort_keys=sort_keys, default=_plain, ensure_ascii=False, separators=(",", ": ")
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable):
        return list(value)
    return str(value)


def to_yaml(value: Any, indent: int = 2, sort_keys: bool = True) -> str:
    plain = json.loads(json.dumps(value, default=_plain))
    return yaml.safe_dump(
        plain, indent=indent, sort_keys=sort_keys, allow_unicode=True, default_flow_style=None
    )


def to_nice_yaml(value: Any, indent: int = 4, sort_keys: bool = True) -> str:
    plain = json.loads(json.dumps(value, default=_plain))
    return yaml.safe_dump(
        plain, indent=indent, sort_keys=sort_keys, allow_unicode=True, default_flow_style=False
    )


def from_json(value: Any) -> Any:
    try:
        return json.loads(_text(value))
    except ValueError as err:
        raise FilterArgumentError(f"from_json: not JSON: {err}") from err


def from_yaml(value: Any) -> Any:
    try:
        return yaml.safe_load(_text(value))
    except yaml.YAMLError as err:
        raise FilterArgumentError(f"from_yaml: not YAML: {err}") from err


def b64encode(value: Any, encoding: str = "utf-8") -> str:
    return base64.b64encode(_text(value).encode(encoding)).decode("ascii")


def b64decode(value: Any, encoding: str = "utf-8") -> str:
    try:
        return base64.b64decode(_text(value), validate=True).decode(encoding)
    except ValueError as err:
        raise FilterArgumentError(f"b64decode: {err}") from err


def regex_replace(
    value: Any,
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
) -> str:
    return _compile(pattern, _flags(ignorecase, multiline)).sub(
        replacement, _text(value)[:_MATCH_LIMIT], count=count
    )


def regex_search(
    value: Any, pattern: str, *groups: str, ignorecase: bool = False, multiline: bool = False
) -> Any:
    found = _compile(pattern, _flags(ignorecase, multiline)).search(_text(value)[:_MATCH_LIMIT])
    if found is None:
        return None
    if not groups:
        return found.group()
    picked = []
    for group in groups:
        numbered = re.fullmatch(r"\\(\d+)", group)
        named = re.fullmatch(r"\\g<(\S+)>", group)
        if not (numbered or named):
            raise FilterArgumentError(f"regex_search: {group!r} names no group: \\\\1 and \\\\g<name> do")
        try:
            picked.append(found.group(int(numbered[1]) if numbered else (named[1] if named else 0)))
        except (IndexError, re.error) as err:
            raise FilterArgumentError(f"regex_search: no group {group!r} in {pattern!r}") from err
    return picked


def regex_findall(value: Any, pattern: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    return _compile(pattern, _flags(ignorecase, multiline)).findall(_text(value)[:_MATCH_LIMIT])


def regex_escape(value: Any) -> str:
    return re.escape(_text(value))


def combine(*mappings: Any, recursive: bool = False, list_merge: str = "replace") -> dict[Any, Any]:
    if list_merge != "replace":
        raise FilterArgumentError("combine: only list_merge='replace' is covered")
    merged: dict[Any, Any] = {}
    for mapping in mappings:
        if isinstance(mapping, Undefined):
            mapping._fail_with_undefined_error()
        if not isinstance(mapping, Mapping):
            raise FilterArgumentError(f"combine takes mappings, not {mapping!r}")
        for key, value in mapping.items():
            old = merged.get(key)
            both = recursive and isinstance(old, Mapping) and isinstance(value, Mapping)
            merged[key] = combine(old, value, recursive=True) if both else value
    return merged


def dict2items(value: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise FilterArgumentError(f"dict2items takes a mapping, not {value!r}")
    return [{key_name: key, value_name: value[key]} for key in value]


def items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    return {item[key_name]: item[value_name] for item in value}


def ternary(value: Any, true_value: Any, false_value: Any, none_value: Any = None) -> Any:
    if value is None and none_value is not None:
        return none_value
    return true_value if value else false_value


def digest(value: Any, name: str = "sha1") -> str:
    try:
        return hashlib.new(name, _text(value).encode("utf-8"), usedforsecurity=False).hexdigest()
    except ValueError as err:
        raise FilterArgumentError(f"hash: no algorithm {name!r}") from err


def unique(value: Any, case_sensitive: bool = True) -> list[Any]:
    seen: list[Any] = []
    kept = []
    for item in value:
        key = item.lower() if isinstance(item, str) and not case_sensitive else item
        if key not in seen:
            seen.append(key)
            kept.append(item)
    return kept


def flatten(value: Any, levels: int | None = None) -> list[Any]:
    flat: list[Any] = []
    for item in value:
        if isinstance(item, list | tuple) and (levels is None or levels > 0):
            flat.extend(flatten(item, None if levels is None else levels - 1))
        elif item is not None:
            flat.append(item)
    return flat


def union(first: Any, second: Any) -> list[Any]:
    return unique([*first, *second])


def intersect(first: Any, second: Any) -> list[Any]:
    return unique([item for item in first if item in second])


def difference(first: Any, second: Any) -> list[Any]:
    return unique([item for item in first if item not in second])


def quote(value: Any) -> str:
    return shlex.quote("" if value is None else _text(value))


def _version_key(text: str) -> list[tuple[int, Any]]:
    parts = re.findall(r"\d+|[a-zA-Z]+", text)
    return [(1, int(part)) if part.isdigit() else (0, part) for part in parts]


def version(value: Any, other: Any, operator: str = "==", strict: bool | None = None) -> bool:  # noqa: ARG001 (Ansible's signature)
    first, second = _version_key(_text(value)), _version_key(_text(other))
    answers: dict[str, bool] = {}
    for names, answer in (
        (("==", "=", "eq"), first == second),
        (("!=", "<>", "ne"), first != second),
        (("<", "lt"), first < second),
        (("<=", "le"), first <= second),
        ((">", "gt"), first > second),
        ((">=", "ge"), first >= second),
    ):
        answers.update(dict.fromkeys(names, answer))
    if operator not in answers:
        raise FilterArgumentError(f"version: no comparison {operator!r}")
    return answers[operator]


def _result(name: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Undefined):
        value._fail_with_undefined_error()
    if not isinstance(value, Mapping):
        raise FilterArgumentError(f"the test {name!r} takes a registered result, not {value!r}")
    return value


def is_failed(value: Any) -> bool:
    return bool(_result("failed", value).get("failed", False))


def is_succeeded(value: Any) -> bool:
    return not is_failed(value)


def is_changed(value: Any) -> bool:
    return bool(_result("changed", value).get("changed", False))


def is_skipped(value: Any) -> bool:
    return bool(_result("skipped", value).get("skipped", False))


def is_match(value: Any, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    return _compile(pattern, _flags(ignorecase, multiline)).match(_text(value)[:_MATCH_LIMIT]) is not None


def is_search(value: Any, pattern: str, ignorecase: bool = False, multiline: bool = False) -> bool:
    return _compile(pattern, _flags(ignorecase, multiline)).search(_text(value)[:_MATCH_LIMIT]) is not None


def is_subset(value: Any, other: Any) -> bool:
    return all(item in other for item in value)


def is_superset(value: Any, other: Any) -> bool:
    return all(item in value for item in other)


def is_contains(value: Any, item: Any) -> bool:
    return item in value


def is_vault_encrypted(value: Any) -> bool:
    return isinstance(value, Secret) or (isinstance(value, str) and value.startswith("$ANSIBLE_VAULT;"))


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": b64decode,
    "b64encode": b64encode,
    "basename": lambda value: posixpath.basename(_text(value)),
    "bool": to_bool,
    "checksum": digest,
    "combine": combine,
    "dict2items": dict2items,
    "difference": difference,
    "dirname": lambda value: posixpath.dirname(_text(value)),
    "flatten": flatten,
    "from_json": from_json,
    "from_yaml": from_yaml,
    "hash": digest,
    "intersect": intersect,
    "items2dict": items2dict,
    "mandatory": mandatory,
    "path_join": lambda value: posixpath.join(*value) if isinstance(value, list) else _text(value),
    "quote": quote,
    "regex_escape": regex_escape,
    "regex_findall": regex_findall,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "splitext": lambda value: list(posixpath.splitext(_text(value))),
    "ternary": ternary,
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "to_nice_yaml": to_nice_yaml,
    "to_yaml": to_yaml,
    "type_debug": lambda value: type(value).__name__,
    "union": union,
    "unique": unique,
    "zip": lambda first, *others: [list(row) for row in zip(first, *others, strict=False)],
    "zip_longest": lambda first, *others, fillvalue=None: [
        list(row) for row in zip_longest(first, *others, fillvalue=fillvalue)
    ],
}

TESTS: dict[str, Callable[..., Any]] = {
    "change": is_changed,
    "changed": is_changed,
    "contains": is_contains,
    "failed": is_failed,
    "failure": is_failed,
    "match": is_match,
    "regex": is_search,
    "search": is_search,
    "skip": is_skipped,
    "skipped": is_skipped,
    "subset": is_subset,
    "succeeded": is_succeeded,
    "success": is_succeeded,
    "superset": is_superset,
    "vault_encrypted": is_vault_encrypted,
    "version": version,
}
