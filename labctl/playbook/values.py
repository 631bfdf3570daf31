"""The values that templates work with: undefined ones, and variables rendered part by part.

A variable's parts may be templates, and may be undefined or need another part of the same variable:
each is rendered when it is asked for and not before, as in ansible-core. What leaves a template is
plain again (:func:`finished`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from datetime import date, time
from typing import TYPE_CHECKING, Any, NoReturn

from jinja2 import StrictUndefined, TemplateError, Undefined, UndefinedError
from jinja2.exceptions import FilterArgumentError
from jinja2.utils import missing

if TYPE_CHECKING:
    from labctl.playbook.variables import Scope


class Used(UndefinedError):
    """Something was used that has no value. Whoever catches this may go on with ``value`` in its place."""

    def __init__(self, message: str | None, value: NoValue) -> None:
        super().__init__(message)
        self.value = value
        self.__cause__ = value._made_by


class NotGiven(FilterArgumentError):
    """What is mandatory has no value."""


class NoValue(StrictUndefined):
    """What has no value. Any part of it is itself: ``missing.a[0] | default(1)`` is 1.

    Its own names begin with an underscore: all others are parts of it, which a template may ask for.
    """

    __slots__ = ("_made_by",)

    def __init__(self, *args: Any, made_by: Exception | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        #: The error that left this behind, if any.
        self._made_by = made_by

    @property  # type: ignore[override]
    def _undefined_exception(self) -> Callable[[str], Used]:
        """What Jinja makes the error with, whatever was done to the value."""
        return lambda message: Used(message, self)

    @_undefined_exception.setter
    def _undefined_exception(self, _kind: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self

    def __getitem__(self, _key: Any) -> Any:
        return self

    def __repr__(self) -> str:
        # A list made into text shows what it holds: nothing undefined gets into a file that way.
        self._fail_with_undefined_error()

    def _after(self, error: Exception) -> NoValue:
        """The same, left behind by an error that knows the line."""
        same = object.__new__(type(self))
        NoValue.__init__(same, self._undefined_hint, self._undefined_obj, self._undefined_name, made_by=error)
        return same


class Missing(NoValue):
    """An undefined value."""

    __slots__ = ()

    def __init__(self, hint: str | None = None, obj: Any = missing, name: Any = None, **options: Any) -> None:
        super().__init__(hint, obj, name, **options)
        # What is looked for under an undefined name is not merely undefined: its user fails here and now.
        if not isinstance(name, str | None):
            repr(name)


class Broken(NoValue):
    """What could not be made, for another reason than an undefined name: whoever uses it fails so.

    ``default`` and ``is defined`` are no way around it. (It is no kind of Missing: Python would ask a
    subclass first what is to be made of two operands, and the first one decides.)
    """

    __slots__ = ()

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error), made_by=error)


#: Whether an undefined part of a variable is an error for whom it is read by: inside most filters.
parts_must_be_defined: ContextVar[bool] = ContextVar("parts_must_be_defined", default=False)


def given(value: Any) -> Any:
    """A part of something, for whom it is read by."""
    if isinstance(value, NoValue) and parts_must_be_defined.get():
        value._fail_with_undefined_error()
    return value


class Omit:
    """The value of ``omit``: an argument that has it counts as not given."""

    def __repr__(self) -> str:
        return "<<Omit>>"


OMIT = Omit()


class _Parts:
    """Which parts of a container are rendered, and which of them a VM had a part in."""

    def __init__(self, scope: Scope, keys: set[Any], render: Callable[[Any], Any]) -> None:
        self.scope = scope
        self.waiting = keys
        self.remote: set[Any] = set()
        self.render = render

    def ready(self, key: Any) -> bool:
        if key in self.remote:
            self.scope.touched = True
        return key not in self.waiting

    def make(self, key: Any) -> Any:
        before, self.scope.touched = self.scope.touched, False
        # whoever reads this is no matter for the templates in it
        reader = parts_must_be_defined.set(False)
        try:
            value = self.render(key)
            self.waiting.discard(key)
            if self.scope.touched:
                self.remote.add(key)
        finally:
            parts_must_be_defined.reset(reader)
            self.scope.touched = self.scope.touched or before
        return value


class LazyMap(dict[Any, Any]):
    """A variable's mapping; ``render`` makes the value of a key. Without it the values are made already."""

    def __init__(
        self,
        raw: Mapping[Any, Any],
        scope: Scope | None = None,
        render: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(raw)
        self._parts = _Parts(scope, set(raw), render) if scope and render else None

    def __getitem__(self, key: Any) -> Any:
        if self._parts and key in self and not self._parts.ready(key):
            super().__setitem__(key, self._parts.make(key))
        return given(super().__getitem__(key))

    def get(self, key: Any, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def __iter__(self) -> Iterator[Any]:
        # Its being here keeps dict(lazy) from reading past __getitem__.
        return super().__iter__()

    def settle(self) -> None:
        for key in self:
            self[key]


class LazyList(list[Any]):
    """A variable's list; ``render`` makes the item of an index. Without it the items are made already."""

    def __init__(
        self,
        raw: Sequence[Any],
        scope: Scope | None = None,
        render: Callable[[Any], Any] | None = None,
    ) -> None:
        super().__init__(raw)
        self._parts = _Parts(scope, set(range(len(raw))), render) if scope and render else None

    def __getitem__(self, index: Any) -> Any:
        if not isinstance(index, int):
            self.settle()
        elif -len(self) <= index < len(self):
            index %= len(self)
            if self._parts and not self._parts.ready(index):
                super().__setitem__(index, self._parts.make(index))
        return given(super().__getitem__(index))

    def __iter__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self)))

    def __reversed__(self) -> Iterator[Any]:
        return (self[index] for index in range(len(self) - 1, -1, -1))

    def __radd__(self, other: Any) -> list[Any]:
        return [*other, *self.copy()] if isinstance(other, list) else NotImplemented

    def settle(self) -> None:
        for index in range(len(self)):
            self[index]


#: These read both containers; others compare part by part, if there are any.
_OF_TWO = {"__add__", "__eq__", "__ge__", "__gt__", "__le__", "__lt__", "__ne__", "__or__", "__ror__"}


def _settled_first(kind: type, names: Sequence[str], *, read: bool = True) -> None:
    """These methods of ``dict`` and ``list`` are for rendered parts: all are first.

    ``read``: they look at them as well, so none may be undefined where that matters.
    """
    for name in names:

        def whole(self: Any, *args: Any, _name: str = name, **options: Any) -> Any:
            reader = parts_must_be_defined.set(parts_must_be_defined.get() and read)
            try:
                for one in (self, *args) if _name in _OF_TWO else (self,):
                    if isinstance(one, LazyMap | LazyList):
                        one.settle()
                return getattr(super(kind, self), _name)(*args, **options)
            finally:
                parts_must_be_defined.reset(reader)

        setattr(kind, name, whole)


_settled_first(LazyMap, ("__eq__", "__ne__", "__or__", "__ror__", "__repr__", "items", "values"))
_settled_first(LazyMap, ("copy", "pop", "popitem"), read=False)
_settled_first(
    LazyList,
    (
        *("__contains__", "__eq__", "__ge__", "__gt__", "__le__", "__lt__", "__ne__", "__repr__"),
        *("count", "index", "remove", "sort"),
    ),
)
_settled_first(LazyList, ("__add__", "__mul__", "__rmul__", "copy", "insert", "pop", "reverse"), read=False)


def guarded(value: Any) -> Any:
    """A list or mapping with something undefined in it, as a template made it, read as a variable's is.

    What is in its lists and mappings was guarded when they were made: data may be large.
    """
    if type(value) is list and any(isinstance(item, NoValue) for item in value):
        return LazyList(value)
    if type(value) is dict and any(isinstance(item, NoValue) for item in value.values()):
        return LazyMap(value)
    return value


def check_defined(value: Any) -> None:
    """Raise UndefinedError when ``value`` is undefined."""
    if isinstance(value, NoValue):
        value._fail_with_undefined_error()


def check_parts_defined(value: Any) -> None:
    """The same for ``value`` and all that it holds."""
    check_defined(value)
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return
    for part in value:
        check_parts_defined(part)


def plain(value: Any) -> Any:
    """``value`` as plain dicts and lists, for libraries that read them past their methods.

    Raises UndefinedError for an undefined part.
    """
    check_defined(value)
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value


def finished(value: Any) -> Any:
    """What a template gave, as variables hold it: nothing of Jinja's, omitted parts left out.

    Raises UndefinedError for an undefined part, TypeError or TemplateError for what no variable can be.
    """
    check_defined(value)
    if isinstance(value, Mapping):
        return {finished(key): finished(item) for key, item in value.items() if not isinstance(item, Omit)}
    if isinstance(value, str):
        # Markup and its like are text outside of templates.
        return str(value) if hasattr(value, "__html__") else value
    if isinstance(value, range):
        raise TypeError("a range is no value for a variable: write  | list  behind it")
    if isinstance(value, Sequence | set | frozenset) and not isinstance(value, bytes):
        return [finished(item) for item in value if not isinstance(item, Omit)]
    if isinstance(value, bool | int | float | date | time | bytes | Omit) or value is None:
        return value
    _refuse(value)


def _refuse(value: Any) -> NoReturn:
    if isinstance(value, Undefined):
        raise TemplateError(
            "an if without an else gave nothing, which is no value: write  else ''  behind it"
        )
    raise TypeError(f"a value of type {type(value).__name__!r} is no value for a variable")


def as_text(value: Any) -> str:
    """A value between other text of a template: containers as Python writes plain ones."""
    if isinstance(value, Omit):
        return ""
    if type(value) in (dict, list, tuple, LazyMap, LazyList):
        return str(_without_omitted(value))
    check_defined(value)
    return str(value)


def _without_omitted(value: Any) -> Any:
    check_defined(value)
    if isinstance(value, dict):
        return {key: _without_omitted(item) for key, item in value.items() if not isinstance(item, Omit)}
    if isinstance(value, list | tuple):
        kept = [_without_omitted(item) for item in value if not isinstance(item, Omit)]
        # what groupby gives shows as the tuples that they are
        return kept if type(value) in (list, tuple, LazyList) else tuple(kept)
    return value
