"""lineinfile: one line in a file, present once or absent. The rules are Ansible's, line for line."""

from __future__ import annotations

import io
import os
import re
from typing import Any

from ..files import naming, read_file, update_file
from ..outcome import Context, Failed


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    path = os.path.realpath(args["path"])
    with naming(path):
        data = read_file(path)
        present = args.get("state", "present") == "present"
        if present and args.get("line") is None:
            raise Failed("line is needed with state=present")
        if not present and not any(
            args.get(word) is not None for word in ("line", "regexp", "search_string")
        ):
            raise Failed("one of line, regexp and search_string is needed with state=absent")
        if data is None:
            if not present:
                return {"changed": False, "msg": "file not present", "found": 0}
            if not args.get("create"):
                if ctx.check:
                    return {"changed": True, "msg": "%s is not there yet" % path}
                raise Failed("%s does not exist (create: true makes it)" % path, rc=257)
            if not ctx.check:
                os.makedirs(os.path.dirname(path), exist_ok=True)
        if present and args.get("backrefs") and args.get("regexp") is None:
            raise Failed("regexp is required with backrefs=true")
        lines = io.BytesIO(data or b"").readlines()  # a carriage return ends none
        if present:
            message = insert(lines, args)
            extra: dict[str, Any] = {}
        else:
            found = remove(lines, args)
            message = "%d line(s) removed" % found if found else ""
            extra = {"found": found}
        if data is None and not lines:
            return {"changed": False, "msg": ""}
        after = b"".join(lines)
        unchanged = data is not None and after == data
        result = update_file(path, data, data if unchanged and data is not None else after, args, ctx)
        return dict(result, msg=message if result["changed"] else "", **extra)


def _pattern(text: Any, word: str) -> re.Pattern[bytes] | None:
    if text is None:
        return None
    try:
        return re.compile(str(text).encode("utf-8"))
    except re.error as err:
        raise Failed("%s is not a regular expression: %s (%s)" % (word, text, err)) from err


def _sought(line: bytes, pattern: re.Pattern[bytes] | None, text: bytes | None) -> Any:
    if pattern is not None:
        return pattern.search(line)
    return text is not None and text in line


def insert(lines: list[bytes], args: dict[str, Any]) -> str:
    """Put the line in its place among ``lines``; returns what was done, or ``""``."""
    line = str(args["line"]).encode("utf-8")
    regexp = _pattern(args.get("regexp"), "regexp")
    search = args.get("search_string")
    text = None if search is None else str(search).encode("utf-8")
    after, before = args.get("insertafter") or None, args.get("insertbefore") or None
    first = bool(args.get("firstmatch"))
    match: Any = None
    where = -1
    for number, one in enumerate(lines):
        found = _sought(one, regexp, text)
        if found:
            where, match = number, found
            if first:
                break
    beside = -1
    if not match:
        where, beside = _neighbour(lines, line, after, before, first)
    if where != -1:
        new = _filled(match, line) if args.get("backrefs") and isinstance(match, re.Match) else line
        new = new if new.endswith(b"\n") else new + b"\n"
        if lines[where] == new:
            return ""
        lines[where] = new
        return "line replaced"
    if args.get("backrefs"):
        return ""  # without a match there is nothing to take the groups from
    return _add(lines, line, after, before, beside)


def _filled(match: re.Match[bytes], line: bytes) -> bytes:
    try:
        return match.expand(line)
    except (re.error, IndexError) as err:
        raise Failed("line: %s: %s" % (err, line.decode("utf-8", "replace"))) from err


def _neighbour(lines: list[bytes], line: bytes, after: Any, before: Any, first: bool) -> tuple[int, int]:
    """Where the very line stands already, and where its neighbour's pattern says it should go."""
    pattern = None
    if after not in (None, "BOF", "EOF"):
        pattern = _pattern(after, "insertafter")
    elif before not in (None, "BOF"):
        pattern = _pattern(before, "insertbefore")
    where = beside = -1
    for number, one in enumerate(lines):
        if one.rstrip(b"\r\n") == line:
            where = number
        elif pattern is not None and pattern.search(one):
            beside = number + 1 if after else number
            if first:
                break
    return where, beside


def _add(lines: list[bytes], line: bytes, after: Any, before: Any, beside: int) -> str:
    if "BOF" in (after, before):
        lines.insert(0, line + b"\n")
    elif after == "EOF" or beside == -1:
        _end_last(lines)
        lines.append(line + b"\n")
    else:
        if after and lines[min(beside, len(lines) - 1)].rstrip(b"\r\n") == line:
            return ""  # with firstmatch the search ends before it gets to the line itself
        if beside == len(lines):
            _end_last(lines)
        lines.insert(beside, line + b"\n")
    return "line added"


def _end_last(lines: list[bytes]) -> None:
    if lines and not lines[-1].endswith((b"\n", b"\r")):
        lines[-1] += b"\n"


def remove(lines: list[bytes], args: dict[str, Any]) -> int:
    """Take matching lines out of ``lines``; returns how many there were."""
    regexp = _pattern(args.get("regexp"), "regexp")
    search = args.get("search_string")
    text = None if search is None else str(search).encode("utf-8")
    exact = None if args.get("line") is None else str(args["line"]).encode("utf-8")

    def wanted(one: bytes) -> bool:
        if regexp is None and text is None:
            return one.rstrip(b"\r\n") == exact
        return bool(_sought(one, regexp, text))

    kept = [one for one in lines if not wanted(one)]
    found = len(lines) - len(kept)
    lines[:] = kept
    return found
