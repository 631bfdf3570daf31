"""Names in inventories: hosts with ports and ranges, and what a variable may be called."""

from __future__ import annotations

import ipaddress
import math
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from labctl.errors import InventoryError, Place

#: How the variables begin that tell who a student is. What is written there is what a gradebook gets:
#: a SID of 0123 is no octal number, and No is somebody's name.
STUDENT = "student_"

_BRACKETED = re.compile(r"\[(?P<host>.+)\]:(?P<port>\d+)")
_WITH_PORT = re.compile(r"(?P<host>(?:[^:\[\]]|\[[^\]]*\])+):(?P<port>\d+)")
_BRACKETS = re.compile(r"\[([^\]]*)\]")
#: More than anybody has, and few enough to hold: a digit too many is not to take all memory.
_MOST_HOSTS = 100_000
#: Python makes no number of very many digits.
_MOST_DIGITS = 100
#: Words that Jinja reads as something else than a name.
_NO_NAMES = frozenset({"true", "false", "none", "True", "False", "None", "not"})


#: As many letters as a database of results takes; names in the DNS have 253 at most.
LONGEST_NAME = 255


def check_host(name: str, place: Place | None = None) -> None:
    """Raise :class:`InventoryError` for a name by which no result could be kept."""
    if len(name) > LONGEST_NAME:
        raise InventoryError(
            f"{name[:40]}... is too long for a VM's name: {len(name)} letters",
            hint=f"give it a name of at most {LONGEST_NAME}, and its address as ansible_host",
            place=place,
        )
    if "\0" in name or any("\ud800" <= letter <= "\udfff" for letter in name):
        raise InventoryError(
            f"{name!r} is no name for a VM: it is not UTF-8 text, or holds a zero byte", place=place
        )


def check_variable(name: Any, place: Place) -> None:
    """Raise :class:`InventoryError` for a name that no template could ever use."""
    if isinstance(name, str) and name.isidentifier() and name.isascii() and name not in _NO_NAMES:
        return
    raise InventoryError(
        f"{name!r} cannot be a variable's name",
        hint="use letters, digits and _, and begin with a letter or _",
        place=place,
    )


def split_port(text: str, place: Place) -> tuple[str, int | None]:
    """``web1:2222``, ``[2001:db8::1]:22`` and plain names, each with its port or None.

    The host may hold ranges. Raises :class:`InventoryError` for text that is none of these.
    """
    match = _BRACKETED.fullmatch(text)
    if not (match and (_is_ipv6(match["host"]) or ":" not in _BRACKETS.sub("", match["host"]))):
        match = _WITH_PORT.fullmatch(text)
    host, port = (match["host"], int(match["port"])) if match else (text, None)
    if not host or (":" in _BRACKETS.sub("", host) and not _is_ipv6(host)):
        raise InventoryError(
            f"{text!r} is not a host's name",
            hint="write web1, web1:2222, 2001:db8::1 or [2001:db8::1]:2222",
            place=place,
        )
    if port is not None and not 0 < port < 65536:
        raise InventoryError(f"{port} is not a port", hint="ports are 1 to 65535", place=place)
    return host, port


def is_one_host(text: str) -> bool:
    """Whether a pattern with colons in it is one host's name or range all the same."""
    return _is_ipv6(text) or ":" not in _BRACKETS.sub("", text)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(_BRACKETS.sub("0", text))
    except ValueError:
        return False
    return True


def expand(pattern: str, place: Place) -> Iterator[str]:
    """The hosts of ``web[01:10]`` (ten) and ``db-[a:c]`` (three); a step may follow: ``[0:8:2]``.

    Raises :class:`InventoryError` for brackets that hold no range, and for more hosts than anybody has.
    """
    if "[" not in pattern and "]" not in pattern:
        yield pattern
        return
    count = math.prod(found.count for one in _BRACKETS.findall(pattern) if (found := _range(one)))
    if count > _MOST_HOSTS:
        raise InventoryError(
            f"{pattern} is more than {_MOST_HOSTS} hosts", hint="is there a digit too many?", place=place
        )
    yield from _expanded(pattern, place)


def _expanded(pattern: str, place: Place) -> Iterator[str]:
    if "[" not in pattern and "]" not in pattern:
        yield pattern
        return
    match = _BRACKETS.search(pattern)
    found = _range(match[1]) if match else None
    if not match or found is None:
        raise InventoryError(
            f"{match[0] if match else pattern} is not a range",
            hint="write [1:20], [01:20] (both ends as wide), [a:f] or [0:8:2], the smaller end first",
            place=place,
        )
    for value in found:
        yield from _expanded(pattern[: match.start()] + value + pattern[match.end() :], place)


@dataclass(frozen=True)
class _Range:
    """Numbers ``width`` digits wide, or ``letters`` at those places. Both ends are included."""

    first: int
    last: int
    step: int
    width: int = 0
    letters: str = ""

    @property
    def count(self) -> int:
        return (self.last - self.first) // self.step + 1

    def __iter__(self) -> Iterator[str]:
        for number in range(self.first, self.last + 1, self.step):
            yield self.letters[number] if self.letters else str(number).zfill(self.width)


def _range(text: str) -> _Range | None:
    """What stands between brackets; None for what is no range."""
    bounds = text.split(":")
    if len(bounds) not in (2, 3) or any(len(bound) > _MOST_DIGITS for bound in bounds):
        return None
    first, last, step = bounds[0] or "0", bounds[1], bounds[2] if len(bounds) == 3 else "1"
    if not (step.isdecimal() and int(step)):
        return None
    if first.isdecimal() and last.isdecimal() and int(first) <= int(last):
        width = len(first) if first[0] == "0" and len(first) > 1 else 0
        if width and len(last) != width:
            return None
        return _Range(int(first), int(last), int(step), width)
    letters = string.ascii_letters
    if len(first) == len(last) == 1 and first in letters and last in letters:
        ends = letters.index(first), letters.index(last)
        return _Range(*ends, int(step), letters=letters) if ends[0] <= ends[1] else None
    return None
