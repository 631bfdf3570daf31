"""Filters that look at whether there is a value at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jinja2 import Undefined

from labctl.playbook.filters.common import FilterArgumentError, shown
from labctl.playbook.values import Broken, NotGiven, NoValue


def default(value: Any, default_value: Any = "", boolean: bool = False) -> Any:
    if not isinstance(boolean, bool):
        raise FilterArgumentError(f"default: its second argument is true or false, not {shown(boolean)}")
    if isinstance(value, Broken):
        return value
    return default_value if isinstance(value, NoValue) or (boolean and not value) else value


def mandatory(value: Any, msg: str | None = None) -> Any:
    if isinstance(value, Broken):
        return value
    if isinstance(value, NoValue):
        # Not an undefined value any more but an error, past which no default leads.
        raise NotGiven(msg or f"the mandatory variable {value._undefined_name!r} is not defined")
    return value


def ternary(value: Any, true_val: Any, false_val: Any, none_val: Any = None) -> Any:
    if isinstance(value, NoValue):
        return value
    if value is None and none_val is not None:
        return none_val
    return true_val if value else false_val


def is_defined(value: Any) -> Any:
    return value if isinstance(value, Broken) else not isinstance(value, Undefined)


def is_undefined(value: Any) -> Any:
    return value if isinstance(value, Broken) else isinstance(value, Undefined)


FILTERS: dict[str, Callable[..., Any]] = {
    "d": default,
    "default": default,
    "mandatory": mandatory,
    "ternary": ternary,
}

TESTS: dict[str, Callable[..., Any]] = {"defined": is_defined, "undefined": is_undefined}
