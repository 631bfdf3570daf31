"""Strict decoding of what a VM sent: the one place where untrusted JSON becomes typed values.

Nothing is converted: a string where a number belongs is an error, as are missing and unknown keys. Whatever
is wrong, the only exception is :class:`Malformed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, get_type_hints

import cattrs
from cattrs.gen import make_dict_structure_fn

T = TypeVar("T")

MAX_DEPTH = 12
MAX_ITEMS = 50_000
MAX_TEXT = 512 * 1024


class Malformed(ValueError):
    """The data does not have the shape that the probe's observation has."""


@dataclass(frozen=True)
class Checked:
    """In an ``Annotated`` type: what a value goes through before it is taken. ``check`` gives it back, or
    another, or raises ``ValueError``.
    """

    check: Callable[[Any], Any]


def at_most(count: int) -> Checked:
    """For a list or text of which labctl's own agent sends no more: what goes through it again and again
    stays quick.
    """

    def check(value: Any) -> Any:
        if isinstance(value, list | str) and len(value) > count:
            raise Malformed(f"{len(value)} of something, of at most {count}")
        return value

    return Checked(check)


def decode(shape: type[T], data: Any) -> T:
    """``data`` as ``shape``, a frozen dataclass of str, int, float, bool, tuples and dataclasses."""
    _measure(data)
    try:
        return _converter(detailed=False).structure(data, shape)
    except Exception:  # noqa: BLE001, S110  the other one says in which field, and is slower
        pass
    try:
        return _converter(detailed=True).structure(data, shape)
    except (cattrs.BaseValidationError, cattrs.errors.StructureHandlerNotFoundError) as err:
        raise Malformed(f"not a {shape.__name__}: {_first(err)}") from err
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError) as err:
        raise Malformed(f"not a {shape.__name__}: {err}") from err


def by_shape(shape: type[T]) -> Callable[[Any], T]:
    """The usual way to interpret what the agent sends: it has the observation's shape already."""
    return lambda data: decode(shape, data)


def encode(value: Any) -> Any:
    """The JSON form of an observation; ``decode`` gives it back."""
    return _converter(detailed=False).unstructure(value)


@lru_cache(maxsize=2)
def _converter(*, detailed: bool) -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True, detailed_validation=detailed)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly)
    converter.register_structure_hook(float, _number)
    # cattrs makes a tuple of a string's letters and of a mapping's keys: lists only
    converter.register_structure_hook_factory(
        lambda kind: getattr(kind, "__origin__", None) is tuple, lambda kind: _tuple_hook(converter, kind)
    )
    converter.register_structure_hook_factory(is_dataclass, lambda kind: _dataclass_hook(converter, kind))
    converter.register_structure_hook_factory(
        lambda kind: bool(_checks(kind)), lambda kind: _checked_hook(converter, kind)
    )
    converter.register_unstructure_hook_factory(
        lambda kind: getattr(kind, "__origin__", None) is tuple,
        lambda kind: _list_hook(converter, kind),
    )
    return converter


def _exactly(value: Any, kind: type[Any]) -> Any:
    if type(value) is not kind:
        raise Malformed(f"{kind.__name__} expected, {type(value).__name__} came")
    return value


def _number(value: Any, _: type[float]) -> float:
    if type(value) not in (int, float) or not abs(value) <= 1e15:
        raise Malformed("a number was expected")
    return float(value)


def _tuple_hook(converter: cattrs.Converter, kind: Any) -> Any:
    inner = kind.__args__[0]
    # looked up once, and not for each item
    hook = converter.get_structure_hook(inner)

    def structure(value: Any, _: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Malformed(f"a list was expected, {type(value).__name__} came")
        return tuple(hook(item, inner) for item in value)

    return structure


def _dataclass_hook(converter: cattrs.Converter, kind: Any) -> Any:
    # cattrs, which resolves those that are texts, would leave out what is Annotated
    hints = get_type_hints(kind, include_extras=True)
    for one in fields(kind):
        one.type = hints[one.name]
    return make_dict_structure_fn(
        kind,
        converter,
        _cattrs_forbid_extra_keys=True,
        _cattrs_detailed_validation=converter.detailed_validation,
    )


def _checks(kind: Any) -> list[Checked]:
    return [one for one in getattr(kind, "__metadata__", ()) if isinstance(one, Checked)]


def _checked_hook(converter: cattrs.Converter, kind: Any) -> Any:
    inner, (checked,) = kind.__origin__, _checks(kind)
    hook = converter.get_structure_hook(inner)
    return lambda value, _: hook(checked.check(value), inner)


def _list_hook(converter: cattrs.Converter, kind: Any) -> Any:
    hook = converter.get_unstructure_hook(kind.__args__[0])
    return lambda value: [hook(item) for item in value]


_ONLY_TEXT = frozenset({str})
_SCALARS = frozenset({int, float, bool, type(None)})


def _measure(data: Any) -> None:
    """Refuse what is deep, huge or not JSON, without recursion."""
    items = text = 0
    level = [data]
    for _ in range(MAX_DEPTH):
        following: list[Any] = []
        items += len(level)
        for value in level:
            kind = type(value)
            if kind is str:
                text += len(value)
            elif kind is dict:
                if not _ONLY_TEXT.issuperset(map(type, value)):
                    raise Malformed("keys must be strings")
                following.extend(value.values())
            elif kind is list:
                following.extend(value)
            elif kind not in _SCALARS:
                raise Malformed(f"{kind.__name__} is not JSON")
        if items > MAX_ITEMS or text > MAX_TEXT:
            raise Malformed("too much data")
        if not following:
            return
        level = following
    raise Malformed("nested too deeply")


def _first(err: BaseException) -> str:
    while isinstance(err, cattrs.BaseValidationError):
        err = err.exceptions[0]
    return str(err)[:200]
