"""Who runs labctl: in a container it may be a number that no passwd names (``docker run -u 4242``)."""

from __future__ import annotations

import getpass
import os


def login_name() -> str:
    """The name of this process's user; "" for one that has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # OSError since Python 3.13
        return ""


def name_or_number() -> str:
    """The user's name, or its number for one without."""
    return login_name() or str(os.getuid())
