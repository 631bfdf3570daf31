"""Why a server on the network gave no answer."""

from __future__ import annotations

import errno
import socket

_WORDS = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset"}


def trouble(err: OSError) -> str:
    """timeout, refused (nobody listens), reset, or unreachable.

    Whoever talks to a server catches OSError and asks here, not by ``except TimeoutError``: that has been the
    class of what socket operations raise since Python 3.10. Before, only connections that the kernel gives
    up are of it.
    """
    late = isinstance(err, (TimeoutError, socket.timeout))
    return "timeout" if late else _WORDS.get(err.errno or 0, "unreachable")
