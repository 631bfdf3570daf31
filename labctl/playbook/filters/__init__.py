"""Ansible's filters and tests that labs use, beyond those that Jinja brings.

One file a subject, each with a table of its names. Plain functions of their arguments, with
Ansible's names and meaning; :func:`filters_for` and :func:`tests_for` add what all have in common:
an undefined argument makes the result undefined, and what fails is an error at its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, Sequence, ValuesView
from functools import wraps
from itertools import chain
from typing import Any

from jinja2.exceptions import TemplateError

from labctl.errors import PlaybookError
from labctl.playbook.filters import (
    addresses,
    data,
    formats,
    hashes,
    judging,
    numbers,
    paths,
    sets,
    text,
    undefined,
)
from labctl.playbook.lookups import LookupFailed
from labctl.playbook.values import Broken, NoValue, Used, guarded, parts_must_be_defined

FILTERS: dict[str, Callable[..., Any]] = {
    **addresses.FILTERS,
    **data.FILTERS,
    **formats.FILTERS,
    **hashes.FILTERS,
    **numbers.FILTERS,
    **paths.FILTERS,
    **sets.FILTERS,
    **text.FILTERS,
    **undefined.FILTERS,
}
TESTS: dict[str, Callable[..., Any]] = {
    **judging.TESTS,
    **paths.TESTS,
    **sets.TESTS,
    **text.TESTS,
    **undefined.TESTS,
}

#: These know what to do with an undefined argument.
_TAKES_UNDEFINED = {"default", "d", "mandatory", "ternary", "type_debug", "defined", "undefined"}
_COLLECTIONS = {
    **dict.fromkeys(("ipaddr", "ipv4", "ipv6", "ipsubnet", "ipwrap"), ("ansible.utils", "ansible.netcommon"))
}


#: These pass on what a list holds without looking at it.
_TAKES_PARTS = {"map", "select", "selectattr", "reject", "rejectattr"}
#: What a filter may raise; anything else (a result that is not known yet) is not about its value.
FAILURES = (
    *(TemplateError, LookupFailed, TypeError, ValueError, LookupError, ArithmeticError, AttributeError),
    *(RecursionError, OSError, re.error),
)


def undefined_through(
    function: Callable[..., Any],
    args: Sequence[Any],
    options: Mapping[str, Any],
    *,
    strict: bool = True,
    takes_undefined: bool = False,
) -> Any:
    """``function(*args, **options)``; undefined when an argument is, or what it looked at was.

    ``strict``: an undefined part of a variable that it reads makes it undefined as well. An error is
    a value too, which fails where it is used.
    """
    if not takes_undefined:
        for value in chain(args, options.values()):
            if isinstance(value, NoValue):
                return value
    before = parts_must_be_defined.set(strict)
    try:
        result = function(*map(guarded, args), **{word: guarded(value) for word, value in options.items()})
        # what .items() and its like give is a list to a playbook, as what a generator gives
        if isinstance(result, Iterator | ItemsView | KeysView | ValuesView):
            result = list(result)
    except Used as err:
        return err.value
    except (PlaybookError, *FAILURES) as err:
        return Broken(err)
    finally:
        parts_must_be_defined.reset(before)
    return result if strict else guarded(result)


def _wrapped(name: str, function: Callable[..., Any], *, truth: bool) -> Callable[..., Any]:
    takes_undefined = name in _TAKES_UNDEFINED
    strict = name not in _TAKES_PARTS and not takes_undefined

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        result = undefined_through(function, args, options, strict=strict, takes_undefined=takes_undefined)
        if isinstance(result, range):
            result = list(result)
        return bool(result) if truth and not isinstance(result, NoValue) else result

    return call


def filters_for(jinja: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """Jinja's filters and Ansible's, under their short and full names."""
    return _named({**jinja, **FILTERS}, truth=False)


def tests_for(jinja: Mapping[str, Any]) -> dict[str, Callable[..., Any]]:
    """The same for tests."""
    return _named({**jinja, **TESTS}, truth=True)


def _named(functions: Mapping[str, Callable[..., Any]], *, truth: bool) -> dict[str, Callable[..., Any]]:
    named = {}
    for name, function in functions.items():
        wrapped = _wrapped(name, function, truth=truth)
        named[name] = wrapped
        for collection in _COLLECTIONS.get(name, ("ansible.builtin",)):
            named[f"{collection}.{name}"] = wrapped
    return named
