"""get_url: a file of the VM that has what a URL has."""

from __future__ import annotations

import os
import re
import time
import urllib.parse
from typing import Any

from .. import web
from ..download import digest, downloaded, replaced
from ..files import Wish, facts_of, naming
from ..outcome import Context, Failed

_MOST = 4 << 30
_MOST_SUMS = 4 << 20
_SCHEMES = ("http", "https", "file")


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    url, dest = args["url"], args["dest"]
    if urllib.parse.urlsplit(url).scheme not in _SCHEMES:
        raise Failed("url: %s is not one of http, https and file" % web.masked(url))
    with naming(dest):
        return _run(url, dest, dict(args, url=url), ctx)


def _run(url: str, dest: str, args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    result = {"changed": False, "url": web.masked(url), "dest": dest, "elapsed": 0}
    algorithm, wanted = _wanted(url, args, ctx)
    since = None
    if os.path.isfile(dest):
        since = os.path.getmtime(dest)
        if wanted and not args.get("force"):
            if digest(dest, algorithm) == wanted:
                changed = Wish(args, ctx).apply(dest, ctx)
                return dict(result, **facts_of(dest), changed=changed, msg="file already exists")
            # What is there is not what is wanted, however new it is.
            args = dict(args, force=True)
    elif not os.path.isdir(dest) and not os.path.isdir(os.path.dirname(dest) or "."):
        if ctx.check:
            return dict(result, changed=True, msg="the directory of %s is not there yet" % dest)
        raise Failed("Destination %s does not exist" % os.path.dirname(dest), **result)
    started = time.monotonic()
    with web.fetch(url, args, ctx, "HEAD" if ctx.check else "GET", since=since) as answer:
        result["elapsed"] = int(time.monotonic() - started)
        result["status_code"] = answer.status
        if answer.status == 304:
            return dict(result, **facts_of(dest), msg=answer.fields["msg"])
        _check(answer, result)
        if os.path.isdir(dest):
            dest = os.path.join(dest, answer.filename("index.html"))
            result["dest"] = dest
        msg = answer.fields["msg"]
        if ctx.check:
            return dict(result, **facts_of(dest), changed=True, msg=msg)
        with downloaded(answer, dest, ctx, _MOST) as new:
            if wanted:
                _compare(new, algorithm, wanted, result)
            told = replaced(new, dest, args, ctx)
        return dict(result, **told, src=new, md5sum=_md5(dest), msg=msg)


def _check(answer: web.Answer, result: dict[str, Any]) -> None:
    if answer.status == -1:
        raise Failed("%s: %s" % (result["url"], answer.fields["msg"]), **result)
    if answer.status not in (200, None):
        said = answer.fields["msg"]
        raise Failed("Request failed: %s: %s" % (result["url"], said), response=said, **result)


def _compare(new: str, algorithm: str, wanted: str, result: dict[str, Any]) -> None:
    found = digest(new, algorithm)
    if found != wanted:
        raise Failed(
            "The checksum for %s did not match: %s is wanted, what came has %s"
            % (result["url"], wanted, found),
            **result,
        )


def _md5(path: str) -> str | None:
    try:
        return digest(path, "md5")
    except ValueError:
        return None  # a system that forbids it


def _wanted(url: str, args: dict[str, Any], ctx: Context) -> tuple[str, str]:
    """The algorithm and the checksum that the file must have, ``""`` for any."""
    text = args.get("checksum") or ""
    if not text:
        return "sha1", ""
    algorithm, colon, value = text.partition(":")
    if not colon:
        raise Failed("The checksum parameter has to be in format <algorithm>:<checksum>")
    if urllib.parse.urlsplit(value).scheme in _SCHEMES:
        value = _listed(value, url, args, ctx)
    value = re.sub(r"\W+", "", value).lower()
    if not re.match("[0-9a-f]+$", value):
        raise Failed("The checksum format is invalid: %r is not hexadecimal" % value)
    return algorithm, value


def _listed(where: str, url: str, args: dict[str, Any], ctx: Context) -> str:
    """The checksum that the file at ``where`` gives for the file of ``url``."""
    with web.fetch(where, args, ctx) as answer:
        _check(answer, {"url": web.masked(where), "status_code": answer.status})
        text = b"".join(answer.chunks(ctx, _MOST_SUMS)).decode("utf-8", "replace")
    name = os.path.basename(urllib.parse.urlsplit(url).path) or "index.html"
    for value, listed in sums(text, name):
        if listed == name:
            return value
    raise Failed("Unable to find a checksum for file '%s' in '%s'" % (name, web.masked(where)))


_BSD = re.compile(r"(?:\w+) ?\((.+)\) ?= ([\w.]+)$")
_GNU = re.compile(r"([\w.]+)\s+(?:\*|\./|\.)?(.+)$")


def sums(text: str, alone: str) -> list[tuple[str, str]]:
    """Pairs of checksum and file name: sha256sum's lines, BSD's, or one bare checksum for ``alone``."""
    lines = text.splitlines()
    if len(lines) == 1 and len(lines[0].split()) == 1:
        return [(lines[0], alone)]
    pairs = []
    for line in lines:
        bsd, gnu = _BSD.match(line), _GNU.match(line)
        if bsd:
            pairs.append((bsd.group(2), bsd.group(1)))
        elif gnu:
            pairs.append((gnu.group(1), gnu.group(2).lstrip("./")))
    return pairs
