"""Results of functions that are kept: what a class's VMs say alike is worked out once."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

F = TypeVar("F", bound="Callable[..., Any]")


def kept(most: int, small: int) -> Callable[[F], F]:
    """For a function without side effects: its last ``most`` results, for arguments whose texts and bytes are
    together at most ``small`` long.

    A VM may be who says them: what is kept needs a bound on its length, too.
    """

    def decorate(function: F) -> F:
        # typed: True is written otherwise than 1
        once = lru_cache(maxsize=most, typed=True)(function)

        @wraps(function)
        def call(*args: Any, **options: Any) -> Any:
            size = sum(len(one) for one in (*args, *options.values()) if isinstance(one, str | bytes))
            return (once if size <= small else function)(*args, **options)

        return cast("F", call)

    return decorate
