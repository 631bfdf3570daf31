"""Filters on text: regular expressions, quoting, comments, base64, dates; tests that match."""

from __future__ import annotations

import base64
import re
import shlex
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from typing import Any

from labctl.playbook.filters.common import FilterArgumentError, compiled

# A pattern comes from the playbook, but may meet text from a VM: this bounds what it is run over.
_MATCH_LIMIT = 1 << 20
# The namespace of ansible's to_uuid.
_NAMESPACE = uuid.UUID("361E6D51-FAEC-444A-9079-341386DA8E2E")


def _subject(value: Any) -> str:
    return str(value)[:_MATCH_LIMIT]


def regex_replace(
    value: Any = "",
    pattern: str = "",
    replacement: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    count: int = 0,
    mandatory_count: int = 0,
) -> str:
    expression = compiled(pattern, ignorecase=ignorecase, multiline=multiline)
    try:
        replaced, times = expression.subn(replacement, _subject(value), count=count)
    except re.error as err:
        raise FilterArgumentError(f"regex_replace: {replacement!r}: {err}") from err
    if mandatory_count and mandatory_count != times:
        raise FilterArgumentError(
            f"regex_replace: {pattern!r} matches {times} times, not {mandatory_count} times"
        )
    return replaced


def regex_search(
    value: Any, regex: str, *groups: str, ignorecase: bool = False, multiline: bool = False
) -> Any:
    named = [_group(group) for group in groups]
    found = compiled(regex, ignorecase=ignorecase, multiline=multiline).search(_subject(value))
    if found is None:
        return None
    if not named:
        return found.group()
    try:
        return [found.group(name) for name in named]
    except IndexError as err:
        raise FilterArgumentError(f"regex_search: no such group in {regex!r}: {groups}") from err


def _group(text: str) -> str | int:
    numbered, named = re.match(r"\\(\d+)", text), re.match(r"\\g<(\S+)>", text)
    if named:
        return named[1]
    if numbered:
        return int(numbered[1])
    raise FilterArgumentError(f"regex_search: {text!r} names no group: \\\\1 and \\\\g<name> do")


def regex_findall(value: Any, regex: str, multiline: bool = False, ignorecase: bool = False) -> list[Any]:
    return compiled(regex, ignorecase=ignorecase, multiline=multiline).findall(_subject(value))


def regex_escape(value: Any, re_type: str = "python") -> str:
    if re_type == "python":
        return re.escape(str(value))
    if re_type == "posix_basic":
        return re.sub(r"([\].\[^$*\\])", r"\\\1", str(value))
    raise FilterArgumentError(f"regex_escape: re_type is python or posix_basic, not {re_type!r}")


def quote(value: Any) -> str:
    return shlex.quote("" if value is None else str(value))


def b64encode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    return encode(str(value).encode(encoding, "surrogateescape")).decode("ascii")


def b64decode(value: Any, encoding: str = "utf-8", urlsafe: bool = False) -> str:
    decode = base64.urlsafe_b64decode if urlsafe else base64.b64decode
    try:
        # As Ansible: what is no UTF-8 stays recoverable instead of being an error.
        return decode(str(value).encode("utf-8", "surrogateescape")).decode(encoding, "surrogateescape")
    except ValueError as err:
        raise FilterArgumentError(f"b64decode: {err}") from err


_COMMENTS = {
    "plain": {"decoration": "# "},
    "erlang": {"decoration": "% "},
    "c": {"decoration": "// "},
    "cblock": {"beginning": "/*", "decoration": " * ", "end": " */"},
    "xml": {"beginning": "<!--", "decoration": " - ", "end": "-->"},
}


def comment(
    text: str,
    style: str = "plain",
    newline: str = "\n",
    prefix_count: int = 1,
    postfix_count: int = 1,
    **parts: str,
) -> str:
    """``parts``: beginning, prefix, decoration, postfix and end, in place of the style's own."""
    if style not in _COMMENTS:
        raise FilterArgumentError(f"comment: the styles are {', '.join(_COMMENTS)}, not {style!r}")
    look = {**_COMMENTS[style], **parts}
    decoration = look["decoration"]
    bare = decoration.rstrip()
    beginning, end = look.get("beginning", ""), look.get("end", "")
    prefix, postfix = look.get("prefix", bare), look.get("postfix", bare)
    head = f"{beginning}{newline}" if beginning else ""
    if prefix:
        head += (prefix if prefix == newline else f"{prefix}{newline}") * int(prefix_count)
    # escaped text is text like any other here, and gets no signs of ours escaped
    body = decoration + str.replace(text, newline, newline + decoration)
    # A line that holds the decoration alone has no blanks at its end.
    body = body.replace(decoration + newline, bare + newline)
    return head + body + (newline + postfix) * postfix_count + (f"{newline}{end}" if end else "")


def split(value: str, *args: Any, **options: Any) -> list[str]:
    return str.split(value, *args, **options)


def strftime(template: str, second: Any = None, utc: bool = False) -> str:
    when = time.gmtime if utc else time.localtime
    try:
        return time.strftime(template, when(None if second is None else float(second)))
    except (ValueError, TypeError) as err:
        raise FilterArgumentError(f"strftime: {second!r} is no number of seconds") from err


def to_datetime(value: str, format: str = "%Y-%m-%d %H:%M:%S") -> datetime:
    return datetime.strptime(value, format)


def to_uuid(value: Any, namespace: Any = _NAMESPACE) -> str:
    return str(uuid.uuid5(uuid.UUID(str(namespace)), str(value)))


def is_match(value: Any = "", pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return is_regex(value, pattern, ignorecase, multiline, "match")


def is_search(value: Any = "", pattern: str = "", ignorecase: bool = False, multiline: bool = False) -> bool:
    return is_regex(value, pattern, ignorecase, multiline, "search")


def is_regex(
    value: Any = "",
    pattern: str = "",
    ignorecase: bool = False,
    multiline: bool = False,
    match_type: str = "search",
) -> bool:
    expression = compiled(pattern, ignorecase=ignorecase, multiline=multiline)
    ways = {"search": expression.search, "match": expression.match, "fullmatch": expression.fullmatch}
    if match_type not in ways:
        raise FilterArgumentError(f"regex: match_type is {', '.join(ways)}, not {match_type!r}")
    return ways[match_type](_subject(value)) is not None


FILTERS: dict[str, Callable[..., Any]] = {
    "b64decode": b64decode,
    "b64encode": b64encode,
    "comment": comment,
    "quote": quote,
    "regex_escape": regex_escape,
    "regex_findall": regex_findall,
    "regex_replace": regex_replace,
    "regex_search": regex_search,
    "split": split,
    "strftime": strftime,
    "to_datetime": to_datetime,
    "to_uuid": to_uuid,
}

TESTS: dict[str, Callable[..., Any]] = {"match": is_match, "regex": is_regex, "search": is_search}
