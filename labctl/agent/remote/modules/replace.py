"""replace: every match of a pattern in a file."""

from __future__ import annotations

import os
import re
from typing import Any

from ..files import naming, read_file, update_file
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = os.path.realpath(args["path"])
    with naming(path):
        before = read_file(path)
        if before is None:
            if ctx.check:
                return {"changed": True, "msg": "%s is not there yet" % path}
            raise Failed("%s does not exist" % path, rc=257)
        text, count = replaced(before.decode("utf-8", "surrogateescape"), args)
        result = update_file(path, before, text.encode("utf-8", "surrogateescape"), args, ctx)
        return dict(result, rc=0, msg="%d replacements made" % count if count else "")


def replaced(text: str, args: dict[str, Any]) -> tuple[str, int]:
    """The text after the replacements, and how many there were."""
    try:
        pattern = re.compile(args["regexp"], re.MULTILINE)
        start, end = _section(text, args.get("after"), args.get("before"))
        if start < 0:
            return text, 0
        section, count = pattern.subn(args.get("replace", ""), text[start:end])
    except re.error as err:
        raise Failed("not a regular expression: %s" % err) from err
    return text[:start] + section + text[end:], count


def _section(text: str, after: Any, before: Any) -> tuple[int, int]:
    """The part between the ``after`` and ``before`` patterns; (-1, -1) when they are not there."""
    start, end = 0, len(text)
    if after:
        found = re.search(after, text, re.DOTALL)
        if not found:
            return -1, -1
        start = found.end()
    if before:
        found = re.search(before, text[start:], re.DOTALL)
        if not found:
            return -1, -1
        end = start + found.start()
    return start, end
