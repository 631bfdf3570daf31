"""HTTP, from the VM itself and from outside; every request on a connection of its own."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from dataclasses import dataclass
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection

from labctl.probes.request import Json, Probe, Request, Vantage
from labctl.probes.system import by_shape

BODY_CAP = 65536
#: After so many requests in a row without an answer the rest would say the same.
SILENT = 2


@dataclass(frozen=True)
class Reply:
    """``status`` 0 means that no HTTP answer came; ``error`` then is refused, timeout, reset, not-http,
    unreachable.
    """

    status: int
    body: str
    error: str

    def __str__(self) -> str:
        first = self.body.strip().splitlines()[:1]
        return f"{self.status} {first[0][:60] if first else ''}".strip() if self.status else self.error


@dataclass(frozen=True)
class Replies:
    """The replies in the order of the requests, which were made one after the other."""

    replies: tuple[Reply, ...]
    seconds: float

    @property
    def answered(self) -> bool:
        return any(reply.status for reply in self.replies)

    @property
    def trouble(self) -> str:
        """Why nobody answered: the first error; "" when somebody did."""
        return "" if self.answered else (self.replies[0].error if self.replies else "timeout")


def http_sample(
    address: str,
    port: int,
    path: str = "/",
    count: int = 1,
    *,
    vantage: Vantage = "vm",
    wait: float = 5.0,
    body: int = 200,
    attempt: int = 1,
) -> Request[Replies]:
    """``count`` GETs, one after the other. ``wait`` is seconds for one, ``body`` how many bytes of each are
    kept.

    ``attempt`` makes a request for the same thing a new one: a second look when the first was disturbed.
    """
    args = {
        "address": address,
        "port": port,
        "path": path,
        "count": count,
        "wait": wait,
        "body": min(body, BODY_CAP),
        "attempt": attempt,
    }
    return Request(HTTP, args, vantage=vantage, deadline=min(90.0, 15.0 + wait * 3 + count))


def sample_outside(args: Json, seconds: float) -> Replies:
    """GETs one after the other; given up after two in a row without an answer, or when the time is over."""
    began = time.monotonic()
    until = began + seconds
    replies: list[Reply] = []
    url = f"http://{_host(str(args['address']))}:{args['port']}{args['path']}"
    adapter = _Cuttable()
    # requests' own timeout bounds each read, not the whole: a server that drips is cut off by this
    watch = threading.Timer(seconds, adapter.cut)
    watch.daemon = True
    watch.start()
    try:
        with requests.Session() as session:
            session.trust_env = False  # no proxies, no .netrc
            # every request is a new client's: a balancer's cookie would bring all of them to one server
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
            session.mount("http://", adapter)
            while len(replies) < int(args["count"]) and time.monotonic() < until:
                if len(replies) >= SILENT and not any(reply.status for reply in replies[-SILENT:]):
                    break
                wait = min(float(args["wait"]), max(0.1, until - time.monotonic()))
                # asking for "Connection: close" is not enough: a server may leave it open, and the pool
                # would then use it again, which pins a balancer to one server
                adapter.poolmanager.clear()
                reply = _get(session, url, wait, int(args["body"]))
                # what a server had dripped by then looks like an answer that is complete
                replies.append(Reply(0, "", "timeout") if adapter.was_cut else reply)
    finally:
        watch.cancel()
    return Replies(tuple(replies), round(time.monotonic() - began, 4))


def _get(session: requests.Session, url: str, wait: float, keep: int) -> Reply:
    headers = {"Connection": "close", "User-Agent": "labctl", "Accept-Encoding": "identity"}
    try:
        with session.get(url, timeout=wait, stream=True, allow_redirects=False, headers=headers) as response:
            body = response.raw.read(min(keep, BODY_CAP), decode_content=False) or b""
            return Reply(response.status_code, body.decode("utf-8", "replace"), "")
    except (requests.RequestException, urllib3.exceptions.HTTPError, OSError, ValueError) as err:
        return Reply(0, "", _cause(err))


class _Cuttable(HTTPAdapter):
    """Keeps the sockets of its connections, so that another thread can end them."""

    def __init__(self) -> None:
        self.links: list[socket.socket] = []
        self.was_cut = False
        super().__init__(pool_connections=1, pool_maxsize=1)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,
        verify: Any,
        proxies: Any = None,
        cert: Any = None,
    ) -> Any:
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies, cert)
        links = self.links

        class Remembered(HTTPConnection):
            def _new_conn(self) -> socket.socket:
                link = super()._new_conn()
                links.append(link)
                return link

        pool.ConnectionCls = Remembered
        return pool

    def cut(self) -> None:
        self.was_cut = True
        for link in self.links:
            with contextlib.suppress(OSError):
                link.shutdown(socket.SHUT_RDWR)


def _cause(err: BaseException) -> str:
    """The word for why no answer came, from the innermost reason."""
    seen: list[BaseException] = []
    while err not in seen:
        seen.append(err)
        inner = getattr(err, "reason", None) or err.__cause__ or err.__context__
        if not isinstance(inner, BaseException):
            inner = next((arg for arg in err.args if isinstance(arg, BaseException)), None)
        if inner is None:
            break
        err = inner
    if any(isinstance(one, ConnectionRefusedError) for one in seen):
        return "refused"
    if any(
        isinstance(one, TimeoutError | requests.Timeout | urllib3.exceptions.TimeoutError) for one in seen
    ):
        return "timeout"
    if any(isinstance(one, ConnectionResetError | BrokenPipeError) for one in seen):
        return "reset"
    # the server closed the connection without an answer: what HAProxy in tcp mode does with nobody behind it
    if any(isinstance(one, http.client.RemoteDisconnected | http.client.IncompleteRead) for one in seen):
        return "reset"
    if any(isinstance(one, http.client.HTTPException | ValueError) for one in seen):
        return "not-http"
    return "unreachable"


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


HTTP = Probe("http", Replies, by_shape(Replies), outside=sample_outside)
