"""Importing paramiko beside other work, and without what it imports for nothing."""

from __future__ import annotations

import threading
from functools import cache
from importlib import import_module

from labctl.later import later

#: Where everything that needs paramiko is imported.
_MODULE = "labctl.connect.ssh"


def begin() -> None:
    """Import it in a thread of its own, once."""
    _thread()


def wait() -> None:
    """Until it is there."""
    _thread().join()


@cache
def _thread() -> threading.Thread:
    # not a daemon, as whoever begins it may be: a process that ends in the middle would tear it out of
    # cryptography's own start, and crash
    thread = threading.Thread(target=_load, name="loading", daemon=False)
    thread.start()
    return thread


def _load() -> None:
    # paramiko imports it, and with it asyncio, unittest and a YAML of its own, for a word in ssh's
    # configuration, which we have ssh itself read: a tenth of what a run with one VM takes
    with later("invoke"):
        import_module(_MODULE)
