"""Documents as they are stored, and what is found when they are not as labctl wrote them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

from sqlalchemy.engine import Row

from labctl.store import keep
from labctl.store.errors import TooLarge

#: A stored document never grows beyond this when it is unpacked: a database may come from elsewhere.
_MAX_BYTES = 64 << 20
#: What Python's JSON raises for text, and for what is no text at all.
UNREADABLE = (ValueError, TypeError)


class Damaged(Exception):
    """What is stored cannot be read back; says why."""


def packed(document: Any) -> bytes:
    """``document`` as :func:`unpacked` reads it. Raises :class:`TooLarge`."""
    text = json.dumps(document, separators=(",", ":")).encode()
    if len(text) >= _MAX_BYTES:
        raise TooLarge(
            f"more was seen of this VM than can be kept of one: {len(text) / 1e6:.0f} MB",
            hint="are there files on it that were made large? Mend that, and grade it again",
        )
    # level 3: half the time of zlib's own level, for a ninth more bytes
    return zlib.compress(text, 3)


def unpacked(data: bytes | None) -> dict[str, Any]:
    """What :func:`packed` was given. Raises :class:`Damaged`."""
    if data is None:
        raise Damaged("it is not there")
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _MAX_BYTES)
        if unpacker.unconsumed_tail:
            raise Damaged("it is larger than any that labctl writes")
        found: Any = json.loads(text)
    except (zlib.error, ValueError, TypeError, RecursionError) as err:
        raise Damaged(str(err)) from err
    if not isinstance(found, dict):
        raise Damaged("it is no mapping")
    return found


def check_result(document: Mapping[str, Any], host: str) -> None:
    """Raises :class:`Damaged` for a document that no labctl has written of this VM."""
    if document.get("host") != host:
        raise Damaged("it is not this VM's")
    if document.get("status") not in ("graded", "error") or not {"score", "max_score"} <= document.keys():
        raise Damaged("it has no status or no score")
    checks = document.get("checks")
    if not isinstance(checks, list) or not all(isinstance(one, dict) and "id" in one for one in checks):
        raise Damaged("checks is no list of checks")


def check(row: Row[Any]) -> None:
    """Raises :class:`Damaged` for a run's row that no labctl has written so."""
    if not isinstance(row.hosts, list) or not all(isinstance(one, str) for one in row.hosts):
        raise Damaged("hosts is no list of names")
    pairs = row.sections if isinstance(row.sections, list) else [None]
    if not all(isinstance(one, list) and [type(part) for part in one] == [str, str] for one in pairs):
        raise Damaged("sections is no list of keys and headings")
    if not isinstance(row.asked, dict | None):
        raise Damaged("asked is no mapping")
    if row.keep not in keep.RULES:
        raise Damaged(f"there is no rule {row.keep!r} for which attempt counts")
