"""Filters between values and JSON or YAML text, and between text and truth or sizes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import date, time
from typing import Any

import yaml

from labctl.playbook.filters.common import FilterArgumentError
from labctl.playbook.values import plain

_Dumper: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def to_json(value: Any, **options: Any) -> str:
    """``options`` are those of Python's ``json.dumps``, as in Ansible."""
    for word in ("profile", "vault_to_text", "preprocess_unsafe"):
        options.pop(word, None)
    return json.dumps(_with_word_keys(plain(value)), default=_isoformat, **options)


def to_nice_json(value: Any, indent: Any = 4, sort_keys: bool = True, **options: Any) -> str:
    options.pop("separators", None)
    return to_json(value, indent=indent, sort_keys=sort_keys, separators=(",", ": "), **options)


def _with_word_keys(value: Any) -> Any:
    """Keys become words before they are sorted, as in Ansible: words and numbers have no order."""
    if isinstance(value, dict):
        return {_word(key): _with_word_keys(item) for key, item in value.items()}
    return [_with_word_keys(item) for item in value] if isinstance(value, list | tuple | range) else value


def _word(key: Any) -> str:
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, int | float):
        return json.dumps(key)
    raise TypeError(f"a key of type {type(key).__name__!r} cannot be written as JSON")


def _isoformat(value: Any) -> str:
    if isinstance(value, date | time):
        return value.isoformat()
    raise TypeError(f"a value of type {type(value).__name__!r} cannot be written as JSON")


def to_yaml(value: Any, *_ignored: Any, default_flow_style: bool | None = None, **options: Any) -> str:
    """``options`` are those of PyYAML's ``dump``, as in Ansible."""
    options = {"allow_unicode": True, "default_flow_style": default_flow_style, **options}
    try:
        return str(yaml.dump(_unmarked(plain(value)), Dumper=_Dumper, **options))
    except yaml.YAMLError as err:
        raise FilterArgumentError(f"to_yaml: {' '.join(map(str, err.args))}") from err


def to_nice_yaml(
    value: Any, indent: int = 4, *_ignored: Any, default_flow_style: bool = False, **options: Any
) -> str:
    return to_yaml(value, indent=indent, default_flow_style=default_flow_style, **options)


def _unmarked(value: Any) -> Any:
    """PyYAML writes exact types only: text that carries a mark of ours becomes text."""
    if isinstance(value, str):
        return str(value)
    if isinstance(value, dict):
        return {_unmarked(key): _unmarked(item) for key, item in value.items()}
    return [_unmarked(item) for item in value] if isinstance(value, list) else value


def from_json(value: Any, profile: str | None = None, **options: Any) -> Any:  # noqa: ARG001 (Ansible's signature)
    try:
        return json.loads(value, **options)
    except ValueError as err:
        raise FilterArgumentError(f"from_json: not JSON: {err}") from err


def from_yaml(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return yaml.load(value, Loader=_Loader)  # noqa: S506 (a safe loader)
    except yaml.YAMLError as err:
        raise FilterArgumentError(f"from_yaml: not YAML: {err}") from err


def from_yaml_all(value: Any) -> Any:
    if value is None:
        return []
    return _documents(value) if isinstance(value, str) else value


def _documents(text: str) -> Iterator[Any]:
    try:
        yield from yaml.load_all(text, Loader=_Loader)
    except yaml.YAMLError as err:
        raise FilterArgumentError(f"from_yaml_all: not YAML: {err}") from err


def to_bool(value: Any) -> bool:
    """True for yes, on, true and 1 in any case; everything else is False, as in Ansible."""
    if isinstance(value, str | int):
        return str(value).lower() in ("yes", "on", "true", "1")
    return bool(plain(value) == 1)


FILTERS: dict[str, Callable[..., Any]] = {
    "bool": to_bool,
    "from_json": from_json,
    "from_yaml": from_yaml,
    "from_yaml_all": from_yaml_all,
    "to_json": to_json,
    "to_nice_json": to_nice_json,
    "to_nice_yaml": to_nice_yaml,
    "to_yaml": to_yaml,
}
