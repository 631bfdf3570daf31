"""Ending a process that was interrupted."""

from __future__ import annotations

import os
import sys
import threading


def leave(status: int) -> None:
    """End this process now if threads still wait for a VM: Python would wait for them."""
    here = threading.current_thread()
    if any(thread is not here and not thread.daemon for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
