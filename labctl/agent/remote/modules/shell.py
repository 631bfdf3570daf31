"""shell: a command line given to /bin/sh. The controller marks it; the rest is ``command``'s."""

from __future__ import annotations

from .command import run

__all__ = ["run"]
