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
        if text is None:
            return {"changed": False, "rc": 0, "msg": "nothing matches after and before"}
        result = update_file(path, before, text.encode("utf-8", "surrogateescape"), args, ctx)
        return dict(result, rc=0, msg="%d replacements made" % count if count else "")


def replaced(text: str, args: dict[str, Any]) -> tuple[str | None, int]:
    """The text after the replacements, and how many there were; no text where the section is not there."""
    try:
        pattern = re.compile(args["regexp"], re.MULTILINE)
        found = _section(text, args.get("after") or "", args.get("before") or "")
        if found is None:
            return None, 0
        start, end = found
        section, count = pattern.subn(args.get("replace", ""), text[start:end])
    except re.error as err:
        raise Failed("not a regular expression: %s" % err) from err
    return text[:start] + section + text[end:], count


def _section(text: str, after: str, before: str) -> tuple[int, int] | None:
    """Where the part between the two patterns begins and ends; None when they are not there.

    One expression of both, as Ansible makes it: ``before`` alone ends the part at its last match.
    """
    if not after and not before:
        return 0, len(text)
    part = "(?P<subsection>.*?)" if after and before else "(?P<subsection>.*)"
    found = re.search(after + part + before, text, re.DOTALL)
    if found is not None and found["subsection"] is None:
        raise Failed("after or before has alternatives without brackets: write (a|b)")
    return None if found is None else found.span("subsection")
