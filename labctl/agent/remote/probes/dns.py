"""Send a DNS query that the controller made, and hand back the bytes that came.

The bytes are read on the controller: there is one place where answers of unknown servers are parsed.
"""

from __future__ import annotations

import base64
import errno
import socket
import struct
import time
from typing import Any

from ..outcome import Context
from .trouble import trouble


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``server``, ``port``, ``tcp``, ``query`` (base64), ``wait`` (seconds a try), ``tries`` in.

    ``status`` out: answered, timeout, refused (nobody listens), unreachable; ``response`` is base64.
    A truncated UDP answer is asked for again over TCP, as every resolver does.
    """
    query = base64.b64decode(args["query"])
    server, port = str(args["server"]), int(args["port"])
    wait, began = float(args["wait"]), time.monotonic()
    status, response = "timeout", b""
    tcp = bool(args["tcp"])
    for _ in range(int(args["tries"])):
        status, response = (ask_tcp if tcp else ask_udp)(server, port, query, wait)
        if status == "answered" and not tcp and len(response) > 3 and response[2] & 0x02:
            again = ask_tcp(server, port, query, wait)
            status, response = again if again[0] == "answered" else (status, response)
        if status != "timeout" or ctx.remaining() < wait:
            break
    text = base64.b64encode(response).decode()
    return {"status": status, "response": text, "seconds": round(time.monotonic() - began, 4)}


def family_of(server: str) -> int:
    return socket.AF_INET6 if ":" in server else socket.AF_INET


def ask_udp(server: str, port: int, query: bytes, wait: float) -> tuple[str, bytes]:
    until = time.monotonic() + wait
    with socket.socket(family_of(server), socket.SOCK_DGRAM) as link:
        try:
            link.connect((server, port))
            link.send(query)
            while True:
                left = until - time.monotonic()
                if left <= 0:
                    return "timeout", b""
                link.settimeout(left)
                response = link.recv(65535)
                if response[:2] == query[:2]:
                    return "answered", response
        except OSError as err:
            return trouble(err), b""


def ask_tcp(server: str, port: int, query: bytes, wait: float) -> tuple[str, bytes]:
    until = time.monotonic() + wait
    try:
        with socket.create_connection((server, port), timeout=wait) as link:
            link.sendall(struct.pack("!H", len(query)) + query)
            size = struct.unpack("!H", receive(link, 2, until))[0]
            return "answered", receive(link, size, until)
    except OSError as err:
        return trouble(err), b""


def receive(link: socket.socket, size: int, until: float) -> bytes:
    data = b""
    while len(data) < size:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        link.settimeout(left)
        piece = link.recv(size - len(data))
        if not piece:
            raise ConnectionResetError(errno.ECONNRESET, "closed in the middle of an answer")
        data += piece
    return data
