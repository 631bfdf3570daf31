"""HTTP requests from the VM itself, each on a connection of its own."""

from __future__ import annotations

import errno
import http.client
import time
from typing import Any

from ..outcome import Context

BODY_CAP = 65536


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """``address``, ``port``, ``path``, ``count``, ``wait`` (seconds for one), ``body`` (bytes kept) in;
    ``replies`` out.

    Stops early when three in a row could not connect: the rest would say the same.
    """
    began = time.monotonic()
    replies = []
    silent = 0
    for _ in range(min(int(args["count"]), 500)):
        wait = min(float(args["wait"]), ctx.remaining() - 0.5)
        if wait <= 0:
            break
        reply = get(str(args["address"]), int(args["port"]), str(args["path"]), wait, int(args["body"]))
        replies.append(reply)
        silent = silent + 1 if reply["status"] == 0 else 0
        if silent == 3:
            break
    return {"replies": replies, "seconds": round(time.monotonic() - began, 4)}


def get(address: str, port: int, path: str, wait: float, keep: int) -> dict[str, Any]:
    """One GET. ``status`` 0 means that no HTTP answer came, and ``error`` says why."""
    link = http.client.HTTPConnection(address, port, timeout=wait)
    try:
        link.request("GET", path, headers={"Connection": "close", "User-Agent": "labctl"})
        response = link.getresponse()
        body = response.read(min(keep, BODY_CAP))
        return {"status": response.status, "body": body.decode("utf-8", "replace"), "error": ""}
    except TimeoutError:
        error = "timeout"
    except http.client.RemoteDisconnected:
        error = "reset"
    except http.client.HTTPException:
        error = "not-http"
    except OSError as err:
        error = {errno.ECONNREFUSED: "refused", errno.ECONNRESET: "reset", errno.EPIPE: "reset"}.get(
            err.errno or 0, "unreachable"
        )
    except ValueError:
        error = "not-http"
    finally:
        link.close()
    return {"status": 0, "body": "", "error": error}
