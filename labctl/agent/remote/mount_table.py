"""What is mounted, by the kernel's table: to look at a mount point itself hangs where its server is gone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

PATH = "/proc/self/mountinfo"


class Row(NamedTuple):
    """One mount. ``options`` are its own, ``super_options`` the file system's: "rw" counts in both."""

    target: str
    source: str
    fstype: str
    options: list[str]
    super_options: list[str]


def lines(path: str = PATH) -> list[str]:
    """The table as it is. Names may be any bytes, and are as os.fsdecode has them."""
    with open(path, "rb") as table:  # as text, a name with a carriage return in it would be two lines
        return table.read().decode("utf-8", "surrogateescape").split("\n")[:-1]


def rows(path: str = PATH) -> list[Row]:
    """In the order of mounting: of those at one point the last is seen."""
    return parse(lines(path))


def parse(table: Iterable[str]) -> list[Row]:
    """Of mountinfo's lines (proc(5)). Only a blank parts fields: names may hold all that Python calls one."""
    found = []
    for line in table:
        head, dash, tail = line.partition(" - ")
        left, right = head.split(" "), tail.split(" ")
        if dash and len(left) >= 6 and len(right) >= 3:
            target, source = unescape(left[4]), unescape(right[1])
            found.append(Row(target, source, right[0], left[5].split(","), right[2].split(",")))
    return found


def unescape(field: str) -> str:
    """Blanks and the like are octal escapes, there and in /etc/fstab."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found.group(1), 8)), field)
