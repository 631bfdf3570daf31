"""What a module's parameters may be, and turning written or rendered values into them.

The rules are Ansible's: booleans are yes/no/on/off/true/false/1/0, a list may be written with
commas, a number or boolean given for text becomes text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, Literal

Kind = Literal["str", "int", "float", "bool", "list", "dict", "path", "raw", "mode", "copied_mode"]

TRUE = frozenset({"y", "yes", "on", "1", "true", "t"})
FALSE = frozenset({"n", "no", "off", "0", "false", "f"})


class BadValue(ValueError):
    """A value that is not what its parameter takes; the message says what would be."""


@dataclass(frozen=True)
class Param:
    """``secret`` values are masked wherever they would be shown."""

    kind: Kind = "str"
    required: bool = False
    default: Any = None
    choices: tuple[Any, ...] = ()
    aliases: tuple[str, ...] = ()
    elements: Kind | None = None
    secret: bool = False


@dataclass(frozen=True)
class Module:
    """One row of the table of modules.

    ``where`` is "vm" for what the agent runs as it is, "send" for what the controller completes
    first (a template's text), "link" for what the engine does with the connection itself, "here" for
    what never leaves the controller. ``seconds`` is how long
    one run may take on the VM when the task has no ``timeout``.
    """

    name: str
    params: Mapping[str, Param]
    full_name: str
    where: Literal["vm", "send", "link", "here"] = "vm"
    exclusive: tuple[tuple[str, ...], ...] = ()
    one_of: tuple[tuple[str, ...], ...] = ()
    #: Parameters that say nothing without another: (that one, those).
    only_with: tuple[tuple[str, tuple[str, ...]], ...] = ()
    free_form: str | None = None
    open_ended: bool = False
    isolated: bool = False
    seconds: float = 120.0
    remote: str | None = None
    spelled: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def required(self) -> tuple[str, ...]:
        return tuple(name for name, param in self.params.items() if param.required)

    @cached_property
    def defaults(self) -> Mapping[str, Any]:
        return {name: param.default for name, param in self.params.items() if param.default is not None}

    @property
    def op(self) -> str:
        """The agent's name for it."""
        return f"modules.{self.remote or self.name}"

    def canonical(self, word: str) -> str | None:
        """The parameter that ``word`` names, directly or as an alias."""
        return self.spelled.get(word)


def make_module(
    name: str, params: Mapping[str, Param], collection: str = "ansible.builtin", **more: Any
) -> Module:
    """A module with its table of spellings made."""
    spelled = {}
    for param_name, param in params.items():
        for word in (param_name, *param.aliases):
            spelled[word] = param_name
    return Module(name=name, params=params, full_name=f"{collection}.{name}", spelled=spelled, **more)


def to_bool(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word in TRUE or value == 1:
        return True
    if word in FALSE or value == 0:
        return False
    raise BadValue(f"{value!r} is not a boolean: write true or false")


def to_text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool | int | float | date):
        return str(value)
    if isinstance(value, dict | list):
        return json.dumps(value)
    raise BadValue(f"{value!r} is not text")


def to_number(value: Any, kind: type[int] | type[float]) -> int | float:
    word = "a whole number" if kind is int else "a number"
    if isinstance(value, bool):
        raise BadValue(f"{value!r} is not {word}")
    try:
        if kind is int and isinstance(value, float) and value != int(value):
            raise BadValue(f"{value!r} is not {word}")
        return kind(value)
    except (TypeError, ValueError) as err:
        raise BadValue(f"{value!r} is not {word}") from err


def to_list(value: Any, elements: Kind | None) -> list[Any]:
    if isinstance(value, list | tuple):
        items = list(value)
    elif isinstance(value, str):
        items = [part.strip() for part in value.split(",")] if value else []
    elif isinstance(value, bool | int | float):
        items = [value]
    else:
        raise BadValue(f"{value!r} is not a list")
    return [coerce_value(item, elements) for item in items] if elements else items


def to_dict(value: Any) -> dict[Any, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, str) and value.strip().startswith("{"):
        try:
            parsed = json.loads(value)
        except ValueError as err:
            raise BadValue(f"{value!r} is not a mapping") from err
        if isinstance(parsed, dict):
            return parsed
    raise BadValue(f"{value!r} is not a mapping")


def to_mode(value: Any) -> str:
    """A file mode as text: octal digits or a symbolic mode."""
    if isinstance(value, bool):
        raise BadValue(f'{value!r} is not a file mode: write it in quotes, mode: "0644"')
    if isinstance(value, int):
        if not 0 <= value <= 0o7777:
            raise BadValue(f'{value} is not a file mode: write it in quotes, mode: "0644"')
        return f"{value:04o}"
    text = to_text(value).strip()
    octal = text.isdigit() and len(text.lstrip("0")) <= 4 and all(digit in "01234567" for digit in text)
    symbolic = text[:1] in tuple("ugoa+-=") and any(sign in text for sign in "+-=")
    if not (octal or symbolic):
        raise BadValue(f'{value!r} is not a file mode: "0644" and "u=rw,g=r" are')
    return text


def coerce_value(value: Any, kind: Kind) -> Any:
    """``value`` as ``kind``; raises :class:`BadValue` saying what would be right."""
    match kind:
        case "str" | "path":
            return to_text(value)
        case "int":
            return to_number(value, int)
        case "float":
            return to_number(value, float)
        case "bool":
            return to_bool(value)
        case "dict":
            return to_dict(value)
        case "mode":
            return to_mode(value)
        case "copied_mode":
            return value if value == "preserve" else to_mode(value)
        case "list":
            return to_list(value, None)
        case "raw":
            return value


def coerce_param(param: Param, value: Any) -> Any:
    """A parameter's value, checked against its kind and its choices."""
    coerced = to_list(value, param.elements) if param.kind == "list" else coerce_value(value, param.kind)
    if param.choices:
        if isinstance(value, bool) and str(value) == coerced:
            # YAML makes a boolean of "yes" and "on": the choice that is spelled so is meant
            alike = [one for one in param.choices if str(one).lower() in (TRUE if value else FALSE)]
            coerced = alike[0] if len(alike) == 1 else coerced
        for one in coerced if isinstance(coerced, list) else [coerced]:
            if one not in param.choices:
                known = ", ".join(str(choice) for choice in param.choices)
                raise BadValue(f"{one!r} is not one of: {known}")
    return coerced


def relations(module: Module, given: set[str]) -> str | None:
    """What is wrong between the parameters that are given, or None."""
    for name in module.required:
        if name not in given:
            return f"{module.name} needs the parameter {name!r}"
    for group in module.exclusive:
        both = [name for name in group if name in given]
        if len(both) > 1:
            return f"{module.name} takes only one of {' and '.join(both)}"
    for group in module.one_of:
        if not given.intersection(group):
            return f"{module.name} needs one of: {', '.join(group)}"
    for needed, words in module.only_with:
        alone = [word for word in words if word in given]
        if alone and needed not in given:
            return f"{module.name} takes {alone[0]!r} only with {needed!r}"
    return None


def complete(module: Module, args: Mapping[str, Any]) -> dict[str, Any]:
    """Rendered arguments as the module takes them: canonical names, coerced, defaults filled in.

    None counts as not given, as in Ansible, but is a fact's value as well as any. Raises :class:`BadValue`.
    """
    done: dict[str, Any] = {}
    for word, value in args.items():
        name = module.canonical(word)
        if name is None and module.open_ended:
            done[word] = value
            continue
        if value is None:
            continue
        if name is None:
            raise BadValue(f"{module.name} has no parameter {word!r}")
        try:
            done[name] = coerce_param(module.params[name], value)
        except BadValue as err:
            raise BadValue(f"{word}: {err}") from err
    wrong = relations(module, set(done))
    if wrong:
        raise BadValue(wrong)
    for name, default in module.defaults.items():
        done.setdefault(name, default)
    return done
