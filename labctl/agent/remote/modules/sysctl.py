"""sysctl: a kernel parameter, in sysctl.conf and in the kernel. The rules are Ansible's, odd ones too."""

from __future__ import annotations

import os
import re
from typing import Any

from ..command import run_command
from ..files import naming, read_file, text_diff, update_file
from ..outcome import Context, Failed

PROC = "/proc/sys"
_YES = ("y", "yes", "on", "1", "true", "t")
_NO = ("n", "no", "off", "0", "false", "f")


def run(args: dict[str, Any], ctx: Context) -> dict[str, Any]:
    name, present = args["name"].strip(), args.get("state", "present") == "present"
    if not name:
        raise Failed("name cannot be blank")
    if present and not args.get("value"):
        raise Failed("value cannot be blank")
    value = parsed(args.get("value") or "")
    path = os.path.realpath(args["sysctl_file"])
    with naming(path):
        before = read_file(path)
        text = (before or b"").decode("utf-8", "surrogateescape")
        written = values(text).get(name)
        in_kernel = kernel_value(name)
        differs = in_kernel is None or in_kernel.split() != value.split()
        write = written != value if present else written is not None
        # What the file says is only half of it: reload makes the kernel follow.
        changed = write or (present and differs and bool(args["reload"] or args["sysctl_set"]))
        result: dict[str, Any] = {"changed": changed}
        after = edited(text, name, value if present else None).encode("utf-8", "surrogateescape")
        if ctx.diff and write:
            result["diff"] = [text_diff(path, before, after)]
        if ctx.check:
            return result
        lenient = ["-e"] if args.get("ignoreerrors") else []
        if args["sysctl_set"] and present and differs:
            _sysctl([*lenient, "-w", "%s=%s" % (name, value)], "setting %s failed" % name, ctx)
        if write:
            update_file(path, before, after, {}, ctx)
        if changed and args["reload"]:
            _sysctl([*lenient, "-p", path], "Failed to reload sysctl", ctx)
    return result


def parsed(value: str) -> str:
    """A value as it is written: booleans are 1 and 0."""
    word = value.lower()
    return "1" if word in _YES else "0" if word in _NO else value.strip()


def _pair(line: str) -> tuple[str, str] | None:
    """A line's name and value, None for a comment and what else is no setting."""
    if not line or line.startswith(("#", ";")) or "=" not in line:
        return None
    name, _, value = line.partition("=")
    return name.strip(), value.strip()


def values(text: str) -> dict[str, str]:
    """What the file sets; of a name's several lines the last is in force."""
    return dict(pair for pair in (_pair(line.strip()) for line in text.splitlines()) if pair)


def edited(text: str, name: str, value: str | None) -> str:
    """The file with ``name`` set once to ``value``, or without it; every other name once, where it was."""
    lines = []
    seen = set()
    for line in text.splitlines():
        pair = _pair(line.strip())
        if pair is None:
            lines.append(line.strip())
            continue
        if pair[0] in seen:
            continue
        seen.add(pair[0])
        if pair[0] != name:
            lines.append("%s=%s" % pair)
        elif value is not None:
            lines.append("%s=%s" % (name, value))
    if name not in seen and value is not None:
        lines.append("%s=%s" % (name, value))
    return "".join(line + "\n" for line in lines)


def kernel_value(name: str) -> str | None:
    """What the kernel has, or None when it has no such parameter."""
    first = re.search("[./]", name)
    swapped = name if first and first.group() == "/" else name.translate({ord("."): "/", ord("/"): "."})
    if ".." in swapped.split("/"):
        raise Failed("%r is not a kernel parameter's name" % name)
    try:
        with open(os.path.join(PROC, swapped), encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


_REFUSED = re.compile(
    r'^sysctl: setting key "[^"]+"(, ignoring)?: (Invalid argument|Read-only file system)$', re.MULTILINE
)


def _sysctl(words: list[str], what: str, ctx: Context) -> None:
    done = run_command(["sysctl", *words], timeout=ctx.remaining())
    if done.missing:
        raise Failed("there is no sysctl on the VM: is the package procps installed?")
    # It may end with 0 though the kernel refused.
    if not done.ok or _REFUSED.search(done.err):
        raise Failed("%s: %s" % (what, (done.out + done.err).strip()), rc=done.rc, stderr=done.err)
