"""ansible-core in this process: what it does once, and warns of when it is done twice."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def load_plugins() -> None:
    """Find plugins and collections where ansible-core looks for them."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([])


def of_collection(module: str) -> Any:
    """A module of a collection. One that is imported before ansible-core has put its own finder in place
    keeps that from finding any other of its plugins.
    """
    load_plugins()
    return importlib.import_module(f"ansible_collections.{module}")
