"""Filters that make mappings and lists of others."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from jinja2 import Environment, pass_environment

from labctl.playbook.filters.common import FilterArgumentError, is_list, shown
from labctl.playbook.values import Broken, NoValue, Omit

_LIST_MERGES: dict[str, Callable[[list[Any], list[Any]], list[Any]]] = {
    "replace": lambda _low, high: high,
    "keep": lambda low, _high: low,
    "append": lambda low, high: low + high,
    "prepend": lambda low, high: high + low,
    "append_rp": lambda low, high: [item for item in low if item not in high] + high,
    "prepend_rp": lambda low, high: high + [item for item in low if item not in high],
}


def combine(*terms: Any, recursive: bool = False, list_merge: str = "replace") -> Any:
    """Later mappings win. ``list_merge``: replace, keep, append, prepend, append_rp, prepend_rp."""
    mappings = flatten(terms, levels=1)
    if len(mappings) < 2:
        return mappings[0] if mappings else {}
    if list_merge not in _LIST_MERGES:
        raise FilterArgumentError(f"combine: list_merge is {', '.join(_LIST_MERGES)}, not {list_merge!r}")
    for mapping in mappings:
        if isinstance(mapping, NoValue):
            mapping._fail_with_undefined_error()
        if not isinstance(mapping, MutableMapping):
            raise FilterArgumentError(f"combine takes mappings, not {mapping!r}")
    # from the last to the first, as Ansible does: which of them are compared shows in what they hold
    merged = mappings[-1]
    for mapping in reversed(mappings[:-1]):
        merged = _merged(mapping, merged, recursive, _LIST_MERGES[list_merge])
    return merged


def _merged(
    low: Mapping[Any, Any],
    high: Mapping[Any, Any],
    recursive: bool,
    lists: Callable[[list[Any], list[Any]], list[Any]],
) -> dict[Any, Any]:
    if not low or low == high:
        return dict(high)
    merged = dict(low)
    for key, value in high.items():
        old = merged.get(key)
        if recursive and isinstance(old, MutableMapping) and isinstance(value, MutableMapping):
            merged[key] = _merged(old, value, recursive, lists)
        elif isinstance(old, list) and isinstance(value, list):
            merged[key] = lists(old, value)
        else:
            merged[key] = value
    return merged


def dict2items(value: Any, key_name: str = "key", value_name: str = "value") -> list[dict[str, Any]]:
    if not isinstance(value, Mapping):
        raise FilterArgumentError(f"dict2items takes a mapping, not {shown(value)}")
    return [{key_name: key, value_name: value[key]} for key in value]


def items2dict(value: Any, key_name: str = "key", value_name: str = "value") -> dict[Any, Any]:
    if not is_list(value):
        raise FilterArgumentError(f"items2dict takes a list, not {shown(value)}")
    return {item[key_name]: item[value_name] for item in value}


def flatten(value: Any, levels: int | None = None, skip_nulls: bool = True) -> list[Any]:
    flat: list[Any] = []
    for item in value:
        if skip_nulls and item in (None, "None", "null"):
            continue
        if is_list(item) and (levels is None or levels >= 1):
            flat.extend(flatten(item, None if levels is None else int(levels) - 1, skip_nulls))
        else:
            flat.append(item)
    return flat


@pass_environment
def extract(environment: Environment, item: Any, container: Any, morekeys: Any = None) -> Any:
    more = [] if morekeys is None else morekeys if isinstance(morekeys, list) else [morekeys]
    value = container
    for key in [item, *more]:
        value = environment.getitem(value, key)
    return value


def subelements(value: Any, subelements: Any, skip_missing: bool = False) -> list[tuple[Any, Any]]:
    """Each element with each item of the list in it that ``subelements`` (``a.b`` or a list) names."""
    if not isinstance(value, dict | list):
        raise FilterArgumentError(f"subelements takes a list of mappings or a mapping, not {value!r}")
    if not isinstance(subelements, str | list):
        raise FilterArgumentError(f"subelements: {subelements!r} is neither a.b nor a list of keys")
    path = subelements.split(".") if isinstance(subelements, str) else subelements
    pairs: list[tuple[Any, Any]] = []
    for element in value.values() if isinstance(value, dict) else value:
        found = element
        for key in path:
            try:
                found = found[key]
            except KeyError as err:
                if not skip_missing:
                    raise FilterArgumentError(f"subelements: {found!r} has no {key!r}") from err
                found = []
                break
        if not isinstance(found, list):
            raise FilterArgumentError(f"subelements: {subelements!r} names {found!r}, not a list")
        pairs.extend((element, item) for item in found)
    return pairs


def rekey_on_member(value: Any, key: str, duplicates: str = "error") -> dict[Any, Any]:
    if duplicates not in ("error", "overwrite"):
        raise FilterArgumentError(f"rekey_on_member: duplicates is error or overwrite, not {duplicates!r}")
    rekeyed: dict[Any, Any] = {}
    if isinstance(value, str):
        raise FilterArgumentError("rekey_on_member takes a list or mapping of mappings")
    for item in value.values() if isinstance(value, Mapping) else value:
        if not isinstance(item, Mapping) or key not in item:
            raise FilterArgumentError(f"rekey_on_member: {item!r} has no {key!r}")
        if item[key] in rekeyed and duplicates == "error":
            raise FilterArgumentError(f"rekey_on_member: {item[key]!r} stands twice")
        rekeyed[item[key]] = item
    return rekeyed


def type_debug(value: Any) -> str:
    """The name of the type as Python has it; what labctl's own containers stand for."""
    if isinstance(value, NoValue):
        return "CapturedExceptionMarker" if isinstance(value, Broken) else "UndefinedMarker"
    if isinstance(value, Omit):
        return "_OmitType"
    kinds = () if hasattr(value, "__html__") else (dict, list, str)
    own = next((kind for kind in kinds if isinstance(value, kind)), type(value))
    return own.__name__.removeprefix("_")  # Jinja's _GroupTuple is Ansible's without


FILTERS: dict[str, Callable[..., Any]] = {
    "combinations": itertools.combinations,
    "combine": combine,
    "dict2items": dict2items,
    "extract": extract,
    "flatten": flatten,
    "items2dict": items2dict,
    "permutations": itertools.permutations,
    "product": itertools.product,
    "rekey_on_member": rekey_on_member,
    "subelements": subelements,
    "type_debug": type_debug,
    "zip": zip,
    "zip_longest": itertools.zip_longest,
}
