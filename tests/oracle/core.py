"""ansible-core in this process: what it does once, and warns of when it is done twice."""

from __future__ import annotations

from functools import cache


@cache
def load_plugins() -> None:
    """Find plugins and collections where ansible-core looks for them."""
    from ansible.plugins.loader import init_plugin_loader

    init_plugin_loader([])
