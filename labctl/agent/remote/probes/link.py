"""TCP connections to servers on the network."""

from __future__ import annotations

import socket


def family_of(server: str) -> int:
    return socket.AF_INET6 if ":" in server else socket.AF_INET


def connected(address: str, port: int, wait: float, source: tuple[str, int] | None = None) -> socket.socket:
    """A connection within ``wait`` seconds, from ``source`` (address and port) if one is given.

    A number is not looked up: of a short request that is a third of the work.
    """
    try:
        socket.inet_pton(family_of(address), address)
    except (OSError, ValueError):
        return socket.create_connection((address, port), wait, source)
    link = socket.socket(family_of(address), socket.SOCK_STREAM)
    try:
        link.settimeout(wait)
        if source:
            link.bind(source)
        link.connect((address, port))
    except BaseException:
        link.close()
        raise
    return link
