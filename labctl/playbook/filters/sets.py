"""Lists as sets.

Ansible gives the members in the order of a Python set. For numbers that order is always the same, and
it is kept here; for text it is another one in each run, so here they stay in the order of the lists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from jinja2 import Environment, pass_environment
from jinja2.exceptions import UndefinedError
from jinja2.filters import do_unique

from labctl.playbook.filters.common import FilterArgumentError


@pass_environment
def unique(
    environment: Environment, value: Any, case_sensitive: bool | None = None, attribute: Any = None
) -> list[Any]:
    try:
        return list(do_unique(environment, value, bool(case_sensitive), attribute))
    except (TypeError, UndefinedError) as err:
        if case_sensitive is False or attribute:
            raise FilterArgumentError(f"unique: these items cannot be compared so: {err}") from err
        return _distinct(value)


def _distinct(items: Iterable[Any]) -> list[Any]:
    kept: list[Any] = []
    for item in items:
        if item not in kept:
            kept.append(item)
    return kept


def _numbers(*lists: Any) -> bool:
    """Nothing but numbers; what is no list may still pass: Ansible looks into it for each item of another."""
    with suppress(TypeError):
        return all(isinstance(item, int | float) for items in lists for item in items)
    return False


def _joined(first: Any, second: Any) -> Any:
    """Both, one after the other. What cannot be in a set Ansible adds list to list, and a tuple is none."""
    try:
        set(first).update(second)
    except TypeError:
        return first + second
    return [*first, *second]


def _tried_as_sets(*lists: Iterable[Any]) -> None:
    """Ansible makes sets of them if it can, and meets what is undefined in any of them."""
    with suppress(TypeError):
        for items in lists:
            set(items)


def union(first: Any, second: Any) -> list[Any]:
    if _numbers(first, second):
        return list(set(first) | set(second))
    return _distinct(_joined(first, second))


def intersect(first: Any, second: Any) -> list[Any]:
    if _numbers(first, second):
        return list(set(first) & set(second))
    _tried_as_sets(first, second)
    return _distinct(item for item in first if item in second)


def difference(first: Any, second: Any) -> list[Any]:
    if _numbers(first, second):
        return list(set(first) - set(second))
    _tried_as_sets(first, second)
    return _distinct(item for item in first if item not in second)


def symmetric_difference(first: Any, second: Any) -> list[Any]:
    if _numbers(first, second):
        return list(set(first) ^ set(second))
    both = [item for item in first if item in second]
    return [item for item in _distinct(_joined(first, second)) if item not in both]


def is_subset(value: Any, other: Any) -> bool:
    return set(value) <= set(other)


def is_superset(value: Any, other: Any) -> bool:
    return set(value) >= set(other)


def is_nan(value: Any) -> bool:
    try:
        return math.isnan(value)
    except TypeError:
        return False


FILTERS: dict[str, Callable[..., Any]] = {
    "difference": difference,
    "intersect": intersect,
    "symmetric_difference": symmetric_difference,
    "union": union,
    "unique": unique,
}

TESTS: dict[str, Callable[..., Any]] = {
    "all": all,
    "any": any,
    "contains": lambda value, item: item in value,
    "issubset": is_subset,
    "issuperset": is_superset,
    "isnan": is_nan,
    "nan": is_nan,
    "subset": is_subset,
    "superset": is_superset,
}
