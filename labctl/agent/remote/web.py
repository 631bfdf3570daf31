"""Requests over HTTP(S), and of files by URL: bounded in size and time, told in Ansible's words."""

from __future__ import annotations

import base64
import contextlib
import gzip
import http.client
import http.cookiejar
import os
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from email.message import Message
from typing import IO, Any

from .outcome import Context, Failed

_CHUNK = 1 << 16


class Answer:
    """What a server said. ``fields`` are its headers in lower case with Ansible's url, status, msg and
    cookies; ``status`` is -1 when nothing answered, None for a file. ``body`` is there to be read once.
    """

    def __init__(self, url: str, response: Any, fields: dict[str, Any]) -> None:
        self.response = response
        self.fields = dict({"url": masked(url)}, **fields)
        self.status: Any = self.fields["status"]
        self.headers: Message = getattr(response, "headers", None) or Message()
        self.url: str = response.geturl() if response is not None else url

    def chunks(self, ctx: Context, most: int) -> Iterator[bytes]:
        """The body piece by piece; a failure when it has more than ``most`` bytes or takes too long."""
        source: IO[bytes] = self.response
        if (self.headers.get("content-encoding") or "").lower() == "gzip":
            source = gzip.GzipFile(fileobj=self.response)  # type: ignore[assignment]
        taken = 0
        while True:
            try:
                chunk = source.read1(_CHUNK)  # type: ignore[attr-defined]
            except (OSError, EOFError, http.client.HTTPException) as err:
                raise self._failed("the answer broke off after %d bytes: %s" % (taken, err)) from err
            if not chunk:
                return
            taken += len(chunk)
            if taken > most:
                raise self._failed("the answer has more than %d bytes" % most)
            if not ctx.remaining():
                raise self._failed("the answer was not complete in time: %d bytes came" % taken)
            yield chunk

    def _failed(self, msg: str) -> Failed:
        return Failed("%s: %s" % (self.fields["url"], msg), url=self.fields["url"], status=self.status)

    def filename(self, default: str) -> str:
        """What the server calls it, or the URL's last part: a name, never a path."""
        told = self.headers.get_param("filename", header="content-disposition")
        path = urllib.parse.urlsplit(self.url).path.rstrip("/")
        named = told if isinstance(told, str) else ""
        for given in (named, urllib.parse.unquote(os.path.basename(path))):
            name = os.path.basename(given)
            if name not in ("", ".", "..") and "\0" not in name:
                return name
        return default


def masked(url: str) -> str:
    """``url`` without the account that it may name."""
    parts = urllib.parse.urlsplit(url)
    account, at, host = parts.netloc.rpartition("@")
    if not at:
        return url
    return parts._replace(netloc=("****:****@" if ":" in account else "****@") + host).geturl()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects as ``follow_redirects`` says."""

    # Python 3.8 does not know this one.
    http_error_308 = urllib.request.HTTPRedirectHandler.http_error_302

    def __init__(self, follow: str) -> None:
        self.follow = follow

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        if urllib.parse.urlsplit(newurl).scheme not in ("http", "https"):
            raise urllib.error.HTTPError(newurl, code, "redirected to something not HTTP", headers, fp)
        if self.follow == "urllib2":
            return super().redirect_request(req, fp, code, msg, headers, newurl)
        method = req.get_method()
        if self.follow in ("no", "none") or (self.follow == "safe" and method not in ("GET", "HEAD")):
            raise urllib.error.HTTPError(newurl, code, msg, headers, fp)
        data, kept = req.data, dict(req.headers)
        if code not in (307, 308):
            data = None
            lost = ("content-length", "content-type", "transfer-encoding")
            kept = {name: value for name, value in kept.items() if name.lower() not in lost}
            if (code in (302, 303) and method != "HEAD") or (code == 301 and method == "POST"):
                method = "GET"
        if urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(req.full_url).netloc:
            # What opens one server's door is not for another's.
            kept = {name: value for name, value in kept.items() if name.lower() not in _CREDENTIALS}
        return urllib.request.Request(  # noqa: S310 (looked at above)
            newurl.replace(" ", "%20"),
            data=data,
            headers=kept,
            origin_req_host=req.origin_req_host,
            unverifiable=True,
            method=method,
        )


_CREDENTIALS = ("authorization", "cookie")


@contextlib.contextmanager
def fetch(
    url: str,
    args: dict[str, Any],
    ctx: Context,
    method: str = "GET",
    data: bytes | None = None,
    since: float | None = None,
) -> Iterator[Answer]:
    """Ask for ``url`` with what ``args`` (the parameters of get_url and uri) say of headers, account,
    certificates, proxy, redirects and time. ``since``: only when it changed after this moment.

    An answer of any status is an :class:`Answer`, and so is none at all.
    """
    timeout = max(0.1, min(float(args["timeout"]), ctx.remaining()))
    cookies = http.cookiejar.CookieJar()
    with _environment(args.get("_environment") or {}):
        try:
            request, opener = _asked(url, args, cookies, method, data, since)
            response = opener.open(request, timeout=timeout)
            size = response.headers.get("Content-Length", "unknown")
            told = {
                "msg": "OK (%s bytes)" % size,
                "url": masked(response.geturl()),
                "status": response.status,
            }
            pairs = [(one.name, one.value) for one in cookies]
            told["cookies"] = dict(pairs)
            told["cookies_string"] = "; ".join("%s=%s" % pair for pair in pairs)
        except urllib.error.HTTPError as err:
            response, told = err, {"msg": str(err), "status": err.code}
        except urllib.error.URLError as err:
            response, told = None, {"msg": "Request failed: %s" % err, "status": -1}
        except http.client.HTTPException as err:
            response, told = (
                None,
                {"msg": "no valid answer came: %s" % (err or type(err).__name__), "status": -1},
            )
        except (OSError, ValueError) as err:
            response, told = None, {"msg": "Connection failure: %s" % err, "status": -1}
    try:
        yield Answer(url, response, dict(_headers(response), **told))
    finally:
        if response is not None:
            response.close()


def _headers(response: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in (getattr(response, "headers", None) or {}).items():
        lower = name.lower()
        found[lower] = "%s, %s" % (found[lower], value) if lower in found else value
    return found


def _asked(
    url: str,
    args: dict[str, Any],
    cookies: http.cookiejar.CookieJar,
    method: str,
    data: bytes | None,
    since: float | None,
) -> tuple[urllib.request.Request, urllib.request.OpenerDirector]:
    """The request, and what sends it."""
    url, user, password = _account(url, args)
    handlers: list[Any] = [
        urllib.request.HTTPSHandler(context=_context(args)),
        _Redirects(args.get("follow_redirects", "urllib2")),
        urllib.request.HTTPCookieProcessor(cookies),
    ]
    if not args.get("use_proxy", True):
        handlers.append(urllib.request.ProxyHandler({}))
    headers = {"User-agent": str(args.get("http_agent", "ansible-httpget"))}
    if args.get("force"):
        headers["Cache-control"] = "no-cache"
    elif since is not None:
        headers["If-Modified-Since"] = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(since))
    if user is not None and args.get("force_basic_auth"):
        account = ("%s:%s" % (user, password)).encode("utf-8")
        headers["Authorization"] = "Basic " + base64.b64encode(account).decode("ascii")
    elif user is not None:
        known = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        known.add_password(None, url, user, password)
        handlers += [
            urllib.request.HTTPBasicAuthHandler(known),
            urllib.request.HTTPDigestAuthHandler(known),
        ]
    for name, value in (args.get("headers") or {}).items():
        headers[str(name)] = str(value)
    request = urllib.request.Request(url, data=data, headers=headers, method=method)  # noqa: S310
    return request, urllib.request.build_opener(*handlers)


def _account(url: str, args: dict[str, Any]) -> tuple[str, str | None, str]:
    """The URL without an account, and the account: the parameters', or else the URL's own."""
    parts = urllib.parse.urlsplit(url)
    account, at, host = parts.netloc.rpartition("@")
    user, password = args.get("url_username"), args.get("url_password")
    if at:
        url = parts._replace(netloc=host).geturl()
        if user is None:
            user, _, password = (urllib.parse.unquote(one) for one in account.partition(":"))
    return url, user, password or ""


def _context(args: dict[str, Any]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=args.get("ca_path"))
    if not args.get("validate_certs", True):
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def _environment(wanted: dict[str, str]) -> Iterator[None]:
    """The task's environment, in which urllib looks for proxies."""
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
