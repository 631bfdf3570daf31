"""wait_for: until a port or a path is, or is no longer, what is wanted."""

from __future__ import annotations

import os
import re
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

from ..outcome import Context, Failed

#: Seconds until the second look; each pause is twice the one before, ``sleep`` at most. What was started a
#: moment ago is most often there in a moment.
FIRST_PAUSE = 0.05


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    started = time.monotonic()
    timeout = float(args.get("timeout", 300))
    state = args.get("state", "started")
    result: dict[str, Any] = {
        "changed": False,
        "state": state,
        "port": args.get("port"),
        "path": args.get("path"),
        "match_groups": [],
        "match_groupdict": {},
    }
    if ctx.check:
        return dict(result, skipped=True, msg="not waited for in check mode")
    if args.get("port") and args.get("path"):
        raise Failed("port and path cannot be waited for together")
    if args.get("path") and state in ("stopped", "drained"):
        raise Failed("state=%s should only be used for checking a port" % state, elapsed=0)
    if not args.get("port") and not args.get("path"):
        time.sleep(min(timeout, ctx.remaining()))
        return dict(result, elapsed=int(time.monotonic() - started))
    if args.get("delay"):
        time.sleep(min(float(args["delay"]), ctx.remaining()))
    seen: list[re.Match[bytes]] = []
    reached, what = _condition(args, state, seen)
    until = started + min(timeout, ctx.remaining())
    pause, longest = FIRST_PAUSE, float(args.get("sleep", 1))
    while True:
        if reached():
            result["elapsed"] = int(time.monotonic() - started)
            return dict(result, **_groups(seen))
        left = until - time.monotonic()
        if left <= 0:
            waited = time.monotonic() - started
            raise Failed(
                args.get("msg") or "after %.0f s still not so: %s" % (waited, what), elapsed=int(waited)
            )
        time.sleep(min(pause, longest, left))
        pause *= 2


def _groups(seen: list[re.Match[bytes]]) -> dict[str, Any]:
    """What the groups of search_regex stood for, as text."""
    if not seen:
        return {}

    def text(value: bytes | None) -> str | None:
        return None if value is None else value.decode("utf-8", "replace")

    found = seen[-1]
    return {
        "match_groups": [text(value) for value in found.groups()],
        "match_groupdict": {name: text(value) for name, value in found.groupdict().items()},
    }


def _condition(
    args: dict[str, Any], state: str, seen: list[re.Match[bytes]]
) -> tuple[Callable[[], bool], str]:
    """Whether it is so now, and how to say it; what search_regex found is added to ``seen``."""
    gone = state in ("stopped", "absent", "drained")
    pattern = None
    if args.get("search_regex") and not gone:  # what is to go is to go whatever it holds
        pattern = re.compile(args["search_regex"].encode("utf-8"), re.MULTILINE)
    if args.get("port"):
        host, port, connect = (
            args.get("host", "127.0.0.1"),
            int(args["port"]),
            float(args.get("connect_timeout", 5)),
        )
        if state == "drained":
            return (lambda: not connections(host, port)), "%s:%d has no connections" % (host, port)
        what = "%s:%d %s" % (host, port, "closed" if gone else "answers")
        if pattern is not None:
            what += " with something that matches %s" % args["search_regex"]
        return (lambda: _port(host, port, connect, pattern, seen) != gone), what
    path = args["path"]
    what = "%s %s" % (path, "is gone" if gone else "is there")
    if pattern is not None:
        what += " and matches %s" % args["search_regex"]
    return (lambda: _path(path, pattern, seen) != gone), what


def _port(
    host: str, port: int, timeout: float, pattern: re.Pattern[bytes] | None, seen: list[re.Match[bytes]]
) -> bool:
    try:
        with socket.create_connection((host, port), timeout) as link:
            if pattern is None:
                return True
            link.settimeout(timeout)
            data = b""
            while len(data) < 1 << 16:
                chunk = link.recv(4096)
                if not chunk:
                    break
                data += chunk
                found = pattern.search(data)
                if found:
                    seen.append(found)
                    return True
            return False
    except OSError:
        return False


# What Ansible counts: established, SYN and FIN sent or received, TIME_WAIT.
_ACTIVE = ("01", "02", "03", "04", "05", "06")
_MAPPED = "0000000000000000FFFF0000"


def connections(host: str, port: int, proc: str = "/proc/net/") -> int:
    """How many connections there are to the port at an address of ``host``, ours as the server."""
    ours = set()
    for family, _kind, _protocol, _name, address in socket.getaddrinfo(host, None):
        packed = socket.inet_pton(family, str(address[0]))
        # the table shows each four bytes as a number of this machine's
        words = (int.from_bytes(packed[at : at + 4], sys.byteorder) for at in range(0, len(packed), 4))
        ours.add("".join("%08X" % word for word in words))
    everywhere = bool(ours & {"0" * 8, "0" * 32})
    found = 0
    for table in ("tcp", "tcp6"):
        try:
            with open(proc + table) as file:
                lines = [line.split() for line in file][1:]
        except OSError:
            continue
        for fields in lines:
            local, _, number = fields[1].partition(":")
            if fields[3] not in _ACTIVE or int(number, 16) != port:
                continue
            local = local[len(_MAPPED) :] if local.startswith(_MAPPED) else local
            found += everywhere or local in ours
    return found


def _path(path: str, pattern: re.Pattern[bytes] | None, seen: list[re.Match[bytes]]) -> bool:
    if pattern is None:
        return os.path.exists(path)
    try:
        with open(path, "rb") as file:
            found = pattern.search(file.read(16 << 20))
    except OSError:
        return False
    if found:
        seen.append(found)
    return found is not None
