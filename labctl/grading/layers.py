"""The layers of a service, from its package to what the world sees of it, and which one is broken first."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

#: Each rests on those before it.
Layer = Literal["package", "config", "unit", "socket", "answer on the VM", "answer from outside"]
LAYERS: tuple[Layer, ...] = get_args(Layer)


@dataclass(frozen=True)
class Broken:
    """Where a service is broken first: the layer, and the check that found it."""

    layer: str
    check: str


def height(layer: str | None) -> int:
    """0 for the lowest layer; what belongs to none is above them all."""
    return LAYERS.index(layer) if layer in LAYERS else len(LAYERS)


def first_broken(checks: Iterable[Mapping[str, Any]], section: str) -> Broken | None:
    """The first broken layer of a section, from the checks of a VM's document (also of a kept run's).

    None when no check of a layer failed. Of several in one layer the first in the lab's order is named.
    """
    broken = [
        Broken(one["layer"], one["id"])
        for one in checks
        if one["section"] == section and one["verdict"] == "fail" and one.get("layer")
    ]
    return min(broken, key=lambda one: height(one.layer), default=None)
