"""blockinfile: lines between two marker lines. The rules are Ansible's."""

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
        present = args.get("state", "present") == "present"
        if before is None and not present:
            return {"changed": False, "msg": "file not present"}
        if before is None and not args.get("create"):
            if ctx.check:
                return {"changed": True, "msg": "%s is not there yet" % path}
            raise Failed("%s does not exist (create: true makes it)" % path, rc=257)
        after = with_block(before or b"", args)
        if before is None:
            message = "File created"
        else:
            message = "Block inserted" if present and args.get("block") else "Block removed"
        if before is None and not ctx.check:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        result = update_file(path, before, after, args, ctx)
        return dict(result, msg=message if before != after else result.get("msg", ""))


def with_block(data: bytes, args: dict[str, Any]) -> bytes:
    """The file's bytes with the block as it shall be: put in, replaced, or taken out."""
    marker = args.get("marker", "# {mark} ANSIBLE MANAGED BLOCK")
    begin = (marker.replace("{mark}", args.get("marker_begin", "BEGIN")) + "\n").encode("utf-8")
    end = (marker.replace("{mark}", args.get("marker_end", "END")) + "\n").encode("utf-8")
    block = str(args.get("block") or "").encode("utf-8")
    present = args.get("state", "present") == "present"
    new: list[bytes] = []
    if present and block:
        block = block if block.endswith(b"\n") else block + b"\n"
        new = [begin, *block.splitlines(True), end]
    lines = data.splitlines(True)
    starts = [number for number, line in enumerate(lines) if _same(line, begin)]
    ends = [number for number, line in enumerate(lines) if _same(line, end)]
    if starts and ends:
        first, last = min(starts[-1], ends[-1]), max(starts[-1], ends[-1])
        lines[first : last + 1] = []
        at = first
    else:
        at = _place(lines, args)
    if at > 0 and not lines[at - 1].endswith(b"\n"):
        lines[at - 1] += b"\n"
    if args.get("prepend_newline") and present and at != 0 and lines[at - 1] != b"\n":
        lines[at:at] = [b"\n"]
        at += 1
    lines[at:at] = new
    behind = at + len(new)
    if args.get("append_newline") and present and behind < len(lines) and lines[behind] != b"\n":
        lines[behind:behind] = [b"\n"]
    return b"".join(lines)


def _same(line: bytes, marker: bytes) -> bool:
    return line.rstrip(b"\r\n") == marker.rstrip(b"\n")


def _place(lines: list[bytes], args: dict[str, Any]) -> int:
    """Where a block that is not there yet goes."""
    before, after = args.get("insertbefore"), args.get("insertafter")
    if before == "BOF":
        return 0
    if before is None and after in (None, "EOF"):
        return len(lines)
    text = before if before is not None else after
    try:
        pattern = re.compile(str(text).encode("utf-8"))
    except re.error as err:
        raise Failed("%r is not a regular expression: %s" % (text, err)) from err
    found = [number for number, line in enumerate(lines) if pattern.search(line)]
    if not found:
        return len(lines)
    return found[-1] if before is not None else found[-1] + 1
