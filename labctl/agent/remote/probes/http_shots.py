"""HTTP requests that differ in who asks and what for, some of them held open while others are answered."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

from ..outcome import Context
from .http import HEAD_CAP, parse, read_answer, silence
from .link import connected
from .trouble import trouble

MOST = 400
#: Cookies of one answer, and how much of each.
MOST_COOKIES, LONGEST_COOKIE = 8, 200
#: Seconds for a server to say that it has a held request, and wants the rest of it.
ACCEPTED = 1.0


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``address``, ``port``, ``wait`` (seconds for one), ``body`` (bytes kept) and ``shots`` in; ``replies``
    out, in the order of the shots.

    A shot has ``source`` (an address of this machine, "" for any), ``path``, ``headers`` (name, value) and
    ``hold``: of a held one the last byte is only sent when all shots after it have been answered.
    """
    began = time.monotonic()
    replies: list[dict[str, Any] | None] = []
    held: list[tuple[int, socket.socket, bool]] = []
    wait, keep = float(args["wait"]), int(args["body"])
    try:
        for shot in args["shots"][:MOST]:
            left = min(wait, ctx.remaining() - 1.0)
            if left <= 0 or _silent(replies):
                break
            try:
                link = _ask(args, shot, left)
                if shot["hold"]:
                    replies.append(None)
                    held.append((len(replies) - 1, link, _accepted(link)))
                    continue
                with link:
                    replies.append(_reply(link, left, keep))
            except OSError as err:
                replies.append(_told(silence(trouble(err)), [], False))
        for at, link, accepted in held:
            # Whoever had answered without waiting for the rest did not have it open
            replies[at] = _finished(link, accepted, max(0.1, min(wait, ctx.remaining() - 0.5)), keep)
    finally:
        for _, link, _ in held:
            link.close()
    return {"replies": replies, "seconds": round(time.monotonic() - began, 4)}


def _silent(replies: list[dict[str, Any] | None]) -> bool:
    """Two in a row without an answer: the rest would say the same."""
    last = replies[-2:]
    return len(last) == 2 and all(one is not None and one["status"] == 0 for one in last)


def _ask(args: dict[str, Any], shot: dict[str, Any], wait: float) -> socket.socket:
    source = (str(shot["source"]), 0) if shot["source"] else None
    link = connected(str(args["address"]), int(args["port"]), wait, source)
    head = ["GET %s HTTP/1.1" % shot["path"], "Connection: close"]
    given = {str(name): str(value) for name, value in shot["headers"]}
    given.setdefault("Host", "%s:%d" % (args["address"], int(args["port"])))
    given.setdefault("User-Agent", "labctl")
    head += ["%s: %s" % pair for pair in given.items()]
    if shot["hold"]:
        head += ["Content-Length: 1", "Expect: 100-continue"]
    try:
        link.sendall(("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace"))
    except OSError:
        link.close()
        raise
    return link


def _accepted(link: socket.socket) -> bool:
    """A server behind the balancer has the request and waits for its body: then it counts as open there."""
    link.settimeout(ACCEPTED)
    with contextlib.suppress(OSError):
        return link.recv(HEAD_CAP, socket.MSG_PEEK).startswith(b"HTTP/1.1 100")
    return False


def _finished(link: socket.socket, accepted: bool, wait: float, keep: int) -> dict[str, Any]:
    try:
        link.settimeout(wait)
        if accepted:
            early = link.recv(HEAD_CAP)
            # what came after the 100 came without the body that was held back
            accepted = early.partition(b"\r\n\r\n")[2] == b""
            if not accepted:
                return _answer(early.partition(b"\r\n\r\n")[2], keep, False)
        link.sendall(b"x")
        return _reply(link, wait, keep, accepted)
    except OSError as err:
        return _told(silence(trouble(err)), [], False)


def _reply(link: socket.socket, wait: float, keep: int, held: bool = False) -> dict[str, Any]:
    return _answer(read_answer(link, time.monotonic() + wait, keep), keep, held)


def _answer(data: bytes, keep: int, held: bool) -> dict[str, Any]:
    head = data.partition(b"\r\n\r\n")[0].decode("latin-1")
    cookies = []
    for line in head.split("\r\n")[1:]:
        name, _, value = line.partition(":")
        if name.strip().lower() == "set-cookie":
            cookies.append(value.split(";")[0].strip()[:LONGEST_COOKIE])
    return _told(parse(data, keep), cookies[:MOST_COOKIES], held)


def _told(reply: dict[str, Any], cookies: list[str], held: bool) -> dict[str, Any]:
    return dict(reply, cookies=cookies, held=held)
