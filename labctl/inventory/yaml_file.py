"""Reading an inventory in Ansible's YAML (or JSON)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from labctl.documents import did_you_mean, load_yaml, start_of
from labctl.errors import InventoryError, Place
from labctl.inventory.draft import Draft
from labctl.inventory.names import STUDENT, expand, split_port
from labctl.placed import Map

_GROUP_KEYS = ("hosts", "children", "vars")


def read_yaml(path: Path, draft: Draft) -> None:
    """Add the groups and hosts of the file to ``draft``. Raises :class:`InventoryError` with the place."""
    document = load_yaml(path, InventoryError, text_keys=STUDENT)
    if document is None:
        raise InventoryError("the inventory is empty", place=Place(path))
    document = _mapping(document, start_of(document, path), "an inventory")
    if isinstance(document.get("plugin"), str):
        raise InventoryError(
            "inventory plugins are not covered",
            hint="write the hosts out, or save what `ansible-inventory --list -y` prints",
            place=document.key_at("plugin"),
        )
    for name, body in document.items():
        _group(draft, name, body, document.key_at(name), document.at(name))


def _group(draft: Draft, name: Any, body: Any, key_place: Place, place: Place) -> None:
    draft.add_group(_name(name, "group", key_place), key_place)
    if body is None:
        return
    body = _mapping(body, place, f"the group {name}")
    for key in body:
        if key not in _GROUP_KEYS:
            raise InventoryError(
                f"the group {name} cannot hold {key!r}; it takes hosts, children and vars",
                hint=did_you_mean(str(key), _GROUP_KEYS, "variables of the group go under vars:"),
                place=body.key_at(key),
            )
        for inner, value, inner_key, inner_place in _entries(body, key):
            if key == "vars":
                draft.set_group(name, inner, value, (inner_key, inner_place))
            elif key == "hosts":
                _hosts(draft, name, inner, value, inner_key, inner_place)
            else:
                _group(draft, inner, value, inner_key, inner_place)
                draft.add_child(name, inner, inner_key)


def _hosts(draft: Draft, group: str, pattern: Any, body: Any, key_place: Place, place: Place) -> None:
    variables = Map(place) if body is None else _mapping(body, place, f"the host {pattern}")
    hosts, port = split_port(_name(pattern, "host", key_place), key_place)
    for host in expand(hosts, key_place):
        draft.add_host(group, host, port, key_place)
        for name, value in variables.items():
            draft.set_host(host, name, value, (variables.key_at(name), variables.at(name)))


def _name(value: Any, what: str, place: Place) -> str:
    if not isinstance(value, str):
        raise InventoryError(
            f"a {what}'s name is text, not {value!r}", hint=f'quote it: "{value}":', place=place
        )
    return value


def _mapping(value: Any, place: Place, what: str) -> Map:
    if not isinstance(value, Map):
        raise InventoryError(f"{what} must be a mapping, not {type(value).__name__}", place=place)
    return value


def _entries(body: Map, key: str) -> Iterator[tuple[Any, Any, Place, Place]]:
    """Each name under ``key`` with its value and both places; a lone name stands for itself."""
    value = body[key]
    if isinstance(value, str) and key != "vars":
        yield value, None, body.at(key), body.at(key)
    elif isinstance(value, Map):
        for name in value:
            yield name, value[name], value.key_at(name), value.at(name)
    elif value is not None:
        hint = "write each name on a line of its own, with a colon after it" if key != "vars" else ""
        raise InventoryError(f"{key}: must be a mapping", hint=hint, place=body.at(key))
