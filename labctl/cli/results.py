"""The results database, open for as long as a command runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from labctl.store import Store


def results(database: str | None, *, create: bool = False) -> Store:
    """The store at ``database``; see :func:`labctl.store.open_store`."""
    from labctl.store import open_store

    store = open_store(database, create=create)
    click.get_current_context().call_on_close(store.close)
    return store
