"""HTTP requests from the VM itself, each on a connection of its own."""

from __future__ import annotations

import re
import socket
import time
from typing import Any

from ..outcome import Context
from .link import connected
from .trouble import trouble

#: Requests of one op.
MOST = 500
BODY_CAP = 65536
HEAD_CAP = 16384
#: Read at a time: most answers are shorter, and room for more is taken for each of many at once.
_PIECE = 8192
#: Digits of a length: what has more is longer than anything that is read, and slow to turn into a number.
_LONGEST_NUMBER = 12
_STATUS = re.compile(rb"[1-9][0-9]{2}\Z")
# lines may end in LF alone (RFC 9112, 2.2): curl, browsers and HAProxy take them, and students' servers do it
_HEAD_ENDS = re.compile(rb"\r?\n\r?\n")
_LENGTH = re.compile(rb"\n[ \t]*content-length[ \t]*:[ \t]*([0-9]+)[ \t]*(?:\r?\n|\Z)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\ntransfer-encoding:[^\r\n]*chunked", re.IGNORECASE)


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``address``, ``port``, ``path``, ``count``, ``wait`` (seconds for one), ``body`` (bytes kept) in;
    ``replies`` out.

    Stops early when two in a row could not connect: the rest would say the same.
    """
    began = time.monotonic()
    replies = []
    silent = 0
    for _ in range(min(int(args["count"]), MOST)):
        wait = min(float(args["wait"]), ctx.remaining() - 0.5)
        if wait <= 0:
            break
        reply = get(str(args["address"]), int(args["port"]), str(args["path"]), wait, int(args["body"]))
        replies.append(reply)
        silent = silent + 1 if reply["status"] == 0 else 0
        if silent == 2:
            break
    return {"replies": replies, "seconds": round(time.monotonic() - began, 4)}


def get(address: str, port: int, path: str, wait: float, keep: int) -> dict[str, Any]:
    """One GET within ``wait`` seconds. ``status`` 0 means that no HTTP answer came, and ``error`` says why.

    By hand rather than with http.client, whose import costs a slow VM more than the whole request.
    """
    until = time.monotonic() + wait
    host = "[%s]" % address if ":" in address else address
    request = "GET %s HTTP/1.1\r\nHost: %s:%d\r\nUser-Agent: labctl\r\nConnection: close\r\n\r\n" % (
        path,
        host,
        port,
    )
    try:
        with connected(address, port, wait) as link:
            link.sendall(request.encode("latin-1", "replace"))
            data = read_answer(link, until, min(keep, BODY_CAP))
    except OSError as err:
        return silence(trouble(err))
    return parse(data, keep)


def read_answer(link: socket.socket, until: float, keep: int) -> bytes:
    """Head and at most ``keep`` bytes of body; less when the server ends the connection or the body's
    length. What comes in small pieces is looked at once.
    """
    data = bytearray()
    most = HEAD_CAP + keep
    looked = 0  # at so much of it, for the head's end
    while len(data) < most:
        left = until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        link.settimeout(left)
        piece = link.recv(_PIECE)
        if not piece:
            break
        data += piece
        if looked >= 0:
            ends = _HEAD_ENDS.search(data, looked)
            looked = -1 if ends else max(0, len(data) - 3)
            if ends:
                most = min(most, ends.end() + min(keep, length_of(bytes(data[: ends.start()]))))
    return bytes(data)


def length_of(head: bytes) -> int:
    """Content-Length, or more than is ever read when the head does not say."""
    told = _LENGTH.search(head)
    return int(told.group(1)[:_LONGEST_NUMBER]) if told else BODY_CAP + 1


def parse(data: bytes, keep: int) -> dict[str, Any]:
    if not data:
        return silence("reset")
    ends = _HEAD_ENDS.search(data)
    words = data.split(b"\n", 1)[0].split(None, 2)
    if not ends or len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not _STATUS.match(words[1]):
        return silence("not-http")
    body = data[ends.end() :]
    if _CHUNKED.search(data, 0, ends.start()):
        body = unchunk(body)
    return {"status": int(words[1]), "body": body[:keep].decode("utf-8", "replace"), "error": ""}


def unchunk(body: bytes) -> bytes:
    """The pieces of a chunked body, as far as they came."""
    pieces: list[bytes] = []
    at = 0
    while True:
        end = body.find(b"\r\n", at)
        try:
            count = int(body[at:end].split(b";")[0], 16) if end >= 0 else 0
        except ValueError:
            count = 0
        if count <= 0:
            return b"".join(pieces)
        pieces.append(body[end + 2 : end + 2 + count])
        at = end + 2 + count + 2


def silence(error: str) -> dict[str, Any]:
    return {"status": 0, "body": "", "error": error}
