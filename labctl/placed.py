"""Mappings and sequences that know where in a file each of their values was written."""

from __future__ import annotations

from typing import Any

from labctl.errors import Place, RequestError


class Map(dict[Any, Any]):
    """A YAML mapping. ``place`` is where it starts."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self._keys: dict[Any, Place] = {}
        self._values: dict[Any, Place] = {}

    def put(self, key: Any, value: Any, key_place: Place, value_place: Place) -> None:
        self[key] = value
        self._keys[key] = key_place
        self._values[key] = value_place

    def merge(self, other: Map) -> None:
        """YAML's ``<<``: the keys of ``other`` that are not here yet, and where their values stand there."""
        for key, value in other.items():
            if key not in self:
                self[key] = value
                self._values[key] = other.at(key)

    def writes(self, key: Any) -> bool:
        """Whether ``key`` stands in the mapping itself; one that came by :meth:`merge` may be put over it."""
        return key in self._keys

    def at(self, key: Any) -> Place:
        """Where the value of ``key`` starts; the mapping's own place for a key that is not there."""
        return self._values.get(key, self.place)

    def key_at(self, key: Any) -> Place:
        """Where ``key`` itself stands."""
        return self._keys.get(key, self.place)


class Seq(list[Any]):
    """A YAML sequence. ``place`` is where it starts."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place
        self._places: list[Place] = []

    def put(self, value: Any, place: Place) -> None:
        self.append(value)
        self._places.append(place)

    def at(self, index: int) -> Place:
        """Where item ``index`` starts."""
        return self._places[index] if 0 <= index < len(self._places) else self.place


def unplaced(value: Any) -> Any:
    """The same in plain dicts and lists."""
    if isinstance(value, dict):
        return {key: unplaced(item) for key, item in value.items()}
    return [unplaced(item) for item in value] if isinstance(value, list) else value


def stands_twice(built: Map, key: Any, place: Place, error: type[RequestError]) -> RequestError:
    """The error for a key that ``built`` has already."""
    first = built.key_at(key).line
    return error(f"the key {key!r} stands twice (first in line {first})", place=place)
