"""uri: one request to a web service, and what it answered."""

from __future__ import annotations

import json
import os
import re
import time
import urllib.parse
from typing import Any

from .. import web
from ..download import downloaded, replaced
from ..files import naming
from ..outcome import Context, Failed

# The answer travels to the controller: within what an op's result may have.
_MOST = 1 << 20
_MOST_FILE = 2 << 30
_JSON = ("json", "javascript")


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    skip = _not_needed(args)
    if skip:
        return {"changed": False, "stdout": skip, "msg": ""}
    if ctx.check:
        return {"changed": False, "skipped": True, "msg": "uri does not ask in check mode"}
    method = args.get("method", "GET").upper()
    if not re.match("[A-Z]+$", method):
        raise Failed("method must be one word, like GET or POST: %r" % method)
    if urllib.parse.urlsplit(args["url"]).scheme not in ("http", "https"):
        raise Failed("uri asks over http and https only: %s" % web.masked(args["url"]))
    data, headers = _body(args)
    dest = args.get("dest")
    since = os.path.getmtime(dest) if dest and os.path.isfile(dest) else None
    started = time.monotonic()
    with web.fetch(args["url"], dict(args, headers=headers), ctx, method, data, since) as answer:
        return _told(args, ctx, answer, dest, int(time.monotonic() - started))


def _not_needed(args: dict[str, Any]) -> str:
    creates, removes = args.get("creates"), args.get("removes")
    if creates and os.path.exists(creates):
        return "skipped, since '%s' exists" % creates
    if removes and not os.path.exists(removes):
        return "skipped, since '%s' does not exist" % removes
    return ""


def _body(args: dict[str, Any]) -> tuple[bytes | None, dict[str, str]]:
    """The request's body, and the headers with its type."""
    headers = {str(name): str(value) for name, value in (args.get("headers") or {}).items()}
    body, kind = args.get("body"), args.get("body_format", "raw")
    types = {"json": "application/json", "form-urlencoded": "application/x-www-form-urlencoded"}
    if kind in types and "content-type" not in [name.lower() for name in headers]:
        headers["Content-Type"] = types[kind]
    if kind == "form-urlencoded" and isinstance(body, (dict, list)):
        body = urllib.parse.urlencode(_pairs(body))
    elif kind == "json" and not isinstance(body, str):
        body = json.dumps(body)  # without one too: it is null then, as in Ansible
    elif body is not None and not isinstance(body, str):
        raise Failed("body is %s: body_format: json sends that, raw takes text" % type(body).__name__)
    return (None if body is None else body.encode("utf-8")), headers


def _pairs(body: Any) -> list[tuple[str, str]]:
    pairs = []
    for one in body.items() if isinstance(body, dict) else body:
        if not isinstance(one, (list, tuple)) or len(one) != 2:
            raise Failed("body: a form is a mapping or a list of pairs, not %r" % (body,))
        values = one[1] if isinstance(one[1], (list, tuple)) else [one[1]]
        pairs += [(str(one[0]), str(value)) for value in values if value is not None]
    return pairs


def _told(
    args: dict[str, Any], ctx: Context, answer: web.Answer, dest: str | None, elapsed: int
) -> dict[str, Any]:
    fields = answer.fields
    told = {name.replace("-", "_"): value for name, value in fields.items()}
    told.update(redirected=fields["url"] != web.masked(args["url"]), elapsed=elapsed, changed=False)
    if "location" in told:
        told["location"] = urllib.parse.urljoin(web.masked(args["url"]), str(told["location"]))
    wanted = [int(one) for one in args.get("status_code") or [200]]
    good = answer.status in wanted
    if answer.response is not None and dest is not None:
        if os.path.isdir(dest):
            dest = os.path.join(dest, answer.filename("index.html"))
        told["path"] = dest
        if good and answer.status != 304:
            told.update(_stored(answer, dest, args, ctx))
    content = _content(answer, args, told, ctx, good)
    if args.get("return_content"):
        told["content"] = content
    if not good:
        del told["msg"]
        raise Failed("Status code was %s and not %s: %s" % (answer.status, wanted, fields["msg"]), **told)
    return told


def _stored(answer: web.Answer, dest: str, args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    with naming(dest), downloaded(answer, dest, ctx, _MOST_FILE) as new:
        told = replaced(new, dest, args, ctx)
        # Ansible says so of every answer that was to be written, the same or not.
        return dict({"changed": True}, uid=told["uid"], gid=told["gid"], owner=told["owner"])


def _content(
    answer: web.Answer, args: dict[str, Any], told: dict[str, Any], ctx: Context, good: bool
) -> str | None:
    """The answer's text when it is asked for; JSON is kept in ``told`` too."""
    headers = answer.headers
    subtype = (headers.get_content_type() or "").split("/")[-1].rpartition("+")[2].lower()
    is_json = answer.response is not None and subtype in _JSON
    if answer.response is None or not (is_json or args.get("return_content") or not good):
        return None
    if "path" in told and good and answer.status != 304:
        with open(told["path"], "rb") as file:
            data = file.read(_MOST + 1)
    else:
        data = b"".join(answer.chunks(ctx, _MOST))
    if len(data) > _MOST:
        told.pop("msg", None)
        raise Failed("the answer has more than %d bytes: dest keeps larger ones" % _MOST, **told)
    try:
        text = data.decode((headers.get_param("charset") or "utf-8").split(",")[0], "replace")  # type: ignore[union-attr]
    except LookupError:
        text = data.decode("utf-8", "replace")
    if is_json:
        try:
            told["json"] = json.loads(text)
        except (ValueError, RecursionError):
            pass  # it only says that it is JSON
    return text
