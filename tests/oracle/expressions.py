"""Variables and templates, made at random by a grammar: what both templars are asked to render.

Everything is made by one function, ``choose``, which picks from a sequence: hypothesis' draw in tests.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from grammar import GROWN, LEAVES, TEMPLATES
from words import CHOICES, FLOATS, INTS, KEYS, WORDS

__all__ = ["Random", "expression", "template", "variables"]

Choose = Callable[[Sequence[Any]], Any]
_HOLE = re.compile(r"\{\{|\}\}|\{(\w+)\}")


def expression(choose: Choose, kind: str, depth: int) -> str:
    """An expression of a kind; ``depth`` bounds what it is made of."""
    if kind in CHOICES:
        return str(choose(CHOICES[kind]))
    if kind == "word":
        return str(choose(WORDS)).replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    grown = kind not in LEAVES or (depth > 0 and choose((True, True, False)))
    return fill(choose, choose(GROWN[kind] if grown else LEAVES[kind]), depth - 1)


def fill(choose: Choose, production: str, depth: int) -> str:
    """A production with its holes filled."""

    def hole(found: re.Match[str]) -> str:
        if found[1] is None:
            return found[0][0]
        made = expression(choose, found[1], depth)
        bare = found[1] in CHOICES or found[1] == "word" or re.fullmatch(r"\w+", made)
        return made if bare else f"({made})"

    return _HOLE.sub(hole, production)


def template(choose: Choose, depth: int = 2) -> str:
    """A whole template."""
    return fill(choose, choose(TEMPLATES), depth)


def text(choose: Choose) -> str:
    return "".join(choose(WORDS) for _ in range(choose((1, 1, 1, 2, 3))))


def _scalar(choose: Choose) -> Any:
    kind = choose(("text", "text", "int", "float", "bool", "none"))
    if kind == "text":
        return text(choose)
    pools: dict[str, Sequence[Any]] = {"int": INTS, "float": FLOATS, "bool": (True, False), "none": (None,)}
    return choose(pools[kind])


def _nested(choose: Choose, depth: int) -> Any:
    kind = choose(("scalar", "scalar", "list", "map")) if depth else "scalar"
    if kind == "list":
        return [_nested(choose, depth - 1) for _ in range(choose((0, 1, 2, 3)))]
    return _mapping(choose, depth) if kind == "map" else _scalar(choose)


def _mapping(choose: Choose, depth: int) -> dict[str, Any]:
    return {choose(KEYS): _nested(choose, depth - 1) for _ in range(choose((0, 1, 2, 3)))}


def variables(choose: Choose) -> dict[str, Any]:
    """Values under the names that the grammar's leaves use."""
    return {
        "t1": text(choose),
        "t2": text(choose),
        "n1": choose(INTS),
        "n2": choose(INTS),
        "f1": choose(FLOATS),
        "b1": choose((True, False)),
        "none1": None,
        "l1": [text(choose) for _ in range(choose((0, 1, 2, 4)))],
        "l2": [choose(INTS) for _ in range(choose((0, 1, 2, 4)))],
        "lx": [_nested(choose, 1) for _ in range(choose((0, 1, 2, 3)))],
        "ll": [[_scalar(choose), [_scalar(choose), None]], _scalar(choose), []],
        "lm": [
            {"name": text(choose), "n": choose(INTS), "list": [choose(INTS)]},
            {"name": choose(WORDS), **_mapping(choose, 1)},
        ],
        "m1": {**_mapping(choose, 2), "name": text(choose)},
        "m2": _mapping(choose, 2),
        "deep": {
            "t": text(choose),
            "n": choose(INTS),
            "b": choose((True, False)),
            "l": ["{{ n1 }}", {"x": "{{ t1 }}"}],
        },
        "tpl": choose(
            ("{{ t1 }}", "<{{ t2 }}>", "{{ n1 }}", "{{ n1 }}{{ n2 }}", "{{ t1 | upper }}\n", "{{ m1.name }}")
        ),
        "tn": choose(("{{ n1 }}", "{{ n1 + n2 }}", "{{ f1 }}")),
        "lt": ["{{ t1 }}", "{{ n1 }}", "x{{ b1 }}"],
        "mt": {"a": "{{ n2 }}", "b": {"c": "{{ l2 }}"}, "{{ 'k' }}": "v"},
        "tt": {"inner": "{{ t1 }}", "again": "{{ tt.inner }}", "broken": "{{ nowhere }}", "n": 1},
        "tu": choose(
            ("{{ nowhere }}", "x{{ nowhere.a }}", "{{ tu2 }}", "{{ m1.nowhere }}", "{{ nowhere | upper }}")
        ),
        "tu2": "{{ nowhere + 1 }}",
        "lu": ["{{ nowhere }}", 1],
        "made": choose(
            ("{{ [nowhere, n1] }}", "{{ (t1, lu) }}", "{{ range(3) }}", "{{ lm }}", "{{ [omit, 1] }}")
        ),
        "mm": choose(("{{ {'a': nowhere, 'b': t1} }}", "{{ m1 }}", "{{ {'a': [bad], 'k': omit} }}")),
        "bad": choose(("{{ none1 | list }}", "{{ 1 + t1 }}", "{{ t1 | from_json }}", "{{ [lu] | join }}")),
    }
