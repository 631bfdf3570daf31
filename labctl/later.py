"""Modules that a library imports for nothing, until somebody uses them."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

# two threads may be the first to use it
_stepping_aside = threading.Lock()


class Later(ModuleType):
    """Stands for a module, which is imported when anything of it is asked for.

    ``functions`` can be asked for without that: it is imported when one of them is called.
    """

    def __init__(self, name: str, functions: Sequence[str]) -> None:
        super().__init__(name)
        # who only asks whether there is such a module is told so
        self.__spec__ = find_spec(name)
        for one in functions:
            setattr(self, one, partial(self._call, one))

    def _call(self, function: str, *args: Any, **options: Any) -> Any:
        return getattr(self._real(), function)(*args, **options)

    def _real(self) -> ModuleType:
        with _stepping_aside:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return import_module(self.__name__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name)


@contextmanager
def later(name: str, functions: Sequence[str] = ()) -> Iterator[None]:
    """Who imports ``name`` within has it when it is used; also where it is not installed."""
    if name not in sys.modules:
        sys.modules[name] = Later(name, functions)
    try:
        yield
    finally:
        with _stepping_aside:
            if isinstance(sys.modules.get(name), Later):
                del sys.modules[name]
