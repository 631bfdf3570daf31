"""Send a DNS query that the controller made, and hand back the bytes that came.

The bytes are read on the controller: there is one place where answers of unknown servers are parsed. The
controller's own queries are sent from here too.
"""

from __future__ import annotations

import base64
import errno
import socket
import struct
import time
from typing import Any

from ..outcome import Context
from .link import connected, family_of
from .trouble import trouble

#: Seconds after which a query over UDP is sent once more: packets get lost.
RESEND = 1.0


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``server``, ``port``, ``tcp``, ``query`` (base64), ``wait`` (seconds a try), ``tries`` in.

    ``status`` out: answered, timeout, refused (nobody listens), unreachable; ``response`` is base64.
    A truncated UDP answer is asked for again over TCP, as every resolver does. Only who is late is asked
    again; the others have said what they have to say.
    """
    query = base64.b64decode(args["query"])
    server, port = str(args["server"]), int(args["port"])
    wait, began = float(args["wait"]), time.monotonic()
    status, response = "timeout", b""
    tcp = bool(args["tcp"])
    for _ in range(int(args["tries"])):
        status, response = (ask_tcp if tcp else ask_udp)(server, port, query, min(wait, ctx.remaining()))
        if status == "answered" and not tcp and len(response) > 3 and response[2] & 0x02:
            again = ask_tcp(server, port, query, min(wait, ctx.remaining()))
            status, response = again if again[0] == "answered" else (status, response)
        if status != "timeout" or ctx.remaining() <= 0:
            break
    text = base64.b64encode(response).decode()
    return {"status": status, "response": text, "seconds": round(time.monotonic() - began, 4)}


def ask_udp(server: str, port: int, query: bytes, wait: float) -> tuple[str, bytes]:
    """Over a connected socket: only then does the kernel tell that nobody listens there.

    An answer to any of the times that it was sent will do.
    """
    until = time.monotonic() + wait
    with socket.socket(family_of(server), socket.SOCK_DGRAM) as link:
        try:
            link.connect((server, port))
            while time.monotonic() < until:
                link.send(query)
                response = _answer_to(query, link, min(until, time.monotonic() + RESEND))
                if response:
                    return "answered", response
        except OSError as err:
            return trouble(err), b""
    return "timeout", b""


def _answer_to(query: bytes, link: socket.socket, until: float) -> bytes:
    """The answer that comes by then, or b"": what has another number is none."""
    while True:
        left = until - time.monotonic()
        if left <= 0:
            return b""
        link.settimeout(left)
        try:
            response = link.recv(65535)
        except OSError as err:
            if trouble(err) != "timeout":
                raise
            return b""
        if response[:2] == query[:2]:
            return response


def ask_tcp(server: str, port: int, query: bytes, wait: float) -> tuple[str, bytes]:
    until = time.monotonic() + wait
    try:
        with connected(server, port, max(wait, 0.001)) as link:
            link.sendall(struct.pack("!H", len(query)) + query)
            size = struct.unpack("!H", receive(link, 2, until))[0]
            return "answered", receive(link, size, until)
    except OSError as err:
        return trouble(err), b""


def receive(link: socket.socket, size: int, until: float) -> bytes:
    data = bytearray()
    while len(data) < size:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        link.settimeout(left)
        piece = link.recv(size - len(data))
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, "closed in the middle of an answer")
        data += piece
    return bytes(data)
