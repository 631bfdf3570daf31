"""Output that was copied into an answer: df's line, an error message, addresses."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

#: 25227264, 25G, 1.5T, 512M, 0, 5,4G: as df writes sizes and counts, in any locale.
_SIZE = re.compile(r"\d+(?:[.,]\d+)?(?:[KMGTPEZY]i?B?|B)?\Z", re.IGNORECASE)
#: A file system's type, where df was asked for it.
_TYPE = re.compile(r"(?:[a-z][\w.]*)?\Z")
_SHARE = re.compile(r"(?:\d{1,3}%|-)\Z")
_ADDRESS = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*)(?![\w:])")

#: How programs word EROFS: the C library's text, its name, and what editors make of it.
_READ_ONLY = re.compile(
    r"(?<!not )read[\s-]*only(?!(?-i:\.[a-z]{2,4})\b)"  # no file's name
    r"|\bEROFS\b|\bErrno 30\b|\bE212\b|\bE45\b|can't open file for writing",
    re.IGNORECASE,
)
#: What a message says of files, not of what went wrong: names in quotes, and paths.
_FILES = re.compile(
    r"'[^'/]*/[^']*'|\"[^\"/]*/[^\"]*\"|(?<![\w/])/[\w./-]+|\bcannot (?:\w+ ){1,2}(?:'[^']*'|\"[^\"]*\")"
)


@dataclass(frozen=True)
class DfLine:
    """One file system of df's table; ``type`` is "" unless df was asked for it."""

    source: str
    type: str
    share: str
    target: str


def read_df(text: str) -> tuple[DfLine, ...]:
    """The lines of ``text`` that have the shape of df's: source, type perhaps, three numbers, a share, a
    directory. A line that was broken after a long source is put together again.
    """
    found = []
    words: list[str] = []
    for line in text.split("\n"):
        words = [*words, *line.split()] if len(words) == 1 else line.split()
        # other words may stand around it
        for at in range(len(words) - 5):
            one = _df_line(words[at : at + 6]) or _df_line(words[at : at + 7])
            if one is not None:
                found.append(one)
                break
    return tuple(found)


def _df_line(words: list[str]) -> DfLine | None:
    if len(words) == 6:
        source, type, numbers, share, target = words[0], "", words[1:4], words[4], words[5]
    elif len(words) == 7:
        source, type, numbers, share, target = words[0], words[1], words[2:5], words[5], words[6]
    else:
        return None
    right = all(_SIZE.match(one) for one in numbers) and _SHARE.match(share) and target.startswith("/")
    if not right or not _TYPE.match(type) or (share != "-" and int(share[:-1]) > 100):
        return None
    return DfLine(source, type, share, target)


def says_read_only(text: str) -> bool:
    """An error message for EROFS, in any program's words."""
    return bool(_READ_ONLY.search(_FILES.sub(" ", text)))


def addresses_in(text: str) -> tuple[str, ...]:
    """The IP addresses in ``text``, each once, in the form that compares. ``10.0.0.2#53`` is one."""
    found = []
    for match in _ADDRESS.finditer(text):
        try:
            found.append(str(ipaddress.ip_address(match.group().rstrip(".:") or "-")))
        except ValueError:
            continue
    return tuple(dict.fromkeys(found))
