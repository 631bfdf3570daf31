"""Filters on numbers: logarithms, sizes, chance."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import wraps
from typing import Any

from jinja2.exceptions import UndefinedError

from labctl.playbook.filters.common import FilterArgumentError, shown

_UNITS = {letter: 1 << (10 * power) for power, letter in enumerate("BKMGTPEZY")}
_NAMES = dict(
    zip("BKMGTPEZY", ("", "kilo", "mega", "giga", "tera", "peta", "exa", "zeta", "yotta"), strict=True)
)


def logarithm(value: Any, base: Any = math.e) -> float:
    return math.log10(value) if base == 10 else math.log(value, base)


def power(value: Any, exponent: Any) -> float:
    return math.pow(value, exponent)


def root(value: Any, base: Any = 2) -> float:
    return math.sqrt(value) if base == 2 else math.pow(value, 1.0 / float(base))


def _of_a_size(read: Callable[..., Any]) -> Callable[..., Any]:
    """A filter to which what is partly undefined is no size, rather than undefined."""

    @wraps(read)
    def reading(size: Any, *args: Any, **options: Any) -> Any:
        try:
            return read(size, *args, **options)
        except UndefinedError as err:
            raise FilterArgumentError(f"{read.__name__} takes a size, not {shown(size)}") from err

    return reading


@_of_a_size
def human_readable(size: Any, isbits: bool = False, unit: str | None = None) -> str:
    """``1024`` as ``1.00 KB``, in the largest unit that fits or in ``unit``."""
    base = "bits" if isbits else "Bytes"
    for letter, limit in sorted(_UNITS.items(), key=lambda one: -one[1]):
        if (size >= limit) if unit is None else (unit.upper() == letter):
            break
    return f"{size / limit:.2f} {base if limit == 1 else letter + base[0]}"


@_of_a_size
def human_to_bytes(size: Any, default_unit: str | None = None, isbits: bool = False) -> int:
    """``1K`` as 1024. B is bytes and b is bits: ``isbits`` says which of them is meant."""
    found = re.search(r"^([0-9]*\.?[0-9]+)(?:\s*([A-Za-z]+))?\s*$", str(size))
    if found is None:
        raise FilterArgumentError(f"human_to_bytes: {size!r} is no size")
    number, unit = float(found[1]), found[2] or default_unit
    if unit is None:
        return round(number)
    letter = unit[0].upper()
    if letter not in _UNITS:
        raise FilterArgumentError(f"human_to_bytes: {unit!r} is no unit: {', '.join(_UNITS)}")
    short, word = ("b", "bit") if isbits else ("B", "byte")
    expected = short if letter == "B" else letter + short
    if len(unit) > 1 and unit != expected and unit.lower() != _NAMES[letter] + word:
        raise FilterArgumentError(f"human_to_bytes: {unit!r} is no unit here: {letter} or {expected}")
    return round(number * _UNITS[letter])


def chosen(end: Any, start: Any = None, step: Any = None, seed: Any = None) -> Any:
    """A number below ``end``, or an item of a list; the same each time for one ``seed``."""
    chance = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311 (as the author seeds it)
    if isinstance(end, int):
        return chance.randrange(start or 0, end, step or 1)
    if not isinstance(end, Iterable):
        raise FilterArgumentError(f"random takes a number or a list, not {end!r}")
    if start or step:
        raise FilterArgumentError("random: start and step go with a number")
    items: Any = end
    return chance.choice(items)


def shuffle(value: Any, seed: Any = None) -> Any:
    items: Any = value
    # what cannot be shuffled stays as it is, and so it does with what is no seed
    with suppress(TypeError, UndefinedError):
        items = list(value)
        chance = random.Random(seed) if seed else random.SystemRandom()  # noqa: S311 (as the author seeds it)
        chance.shuffle(items)
    return items


FILTERS: dict[str, Callable[..., Any]] = {
    "human_readable": human_readable,
    "human_to_bytes": human_to_bytes,
    "log": logarithm,
    "pow": power,
    "random": chosen,
    "root": root,
    "shuffle": shuffle,
}
