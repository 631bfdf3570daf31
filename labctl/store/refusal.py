"""What a database says when it does not do what it is asked, and what to do then."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from labctl.store.errors import StoreError

#: A file that may not grow, by a quota or ulimit -f, is an I/O error to SQLite.
_NO_ROOM_SQLITE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
_NO_ROOM_POSTGRESQL = "53100"


def refused(err: SQLAlchemyError, url: URL) -> StoreError:
    """The database's own words; where it wants for room also how much there is, and what to do."""
    said = reason(err)
    origin = getattr(err, "orig", None)
    if getattr(origin, "sqlstate", None) == _NO_ROOM_POSTGRESQL:
        return StoreError(
            f"the results database cannot be written: {said}",
            hint="what was kept before is whole; make room on the database's server",
        )
    code = getattr(origin, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_READONLY:
        return StoreError(
            f"the results database {url.database} cannot be written: {said}",
            hint="labctl runs, show and stats read it as it is; to write, be who owns the file and its "
            "directory, or copy it and name the copy with --database",
        )
    if code not in _NO_ROOM_SQLITE or not url.database:
        return StoreError(f"the results database: {said}")
    place = Path(url.database).absolute().parent
    return StoreError(
        f"the results database {url.database} cannot be written: {said} ({_free(place)} free there)",
        hint=f"what was kept before is whole; make room in {place} (df says how much, ulimit -f what is "
        "allowed), or copy the file to where there is some and name that with --database",
    )


def reason(err: BaseException) -> str:
    """The first line of what the database itself said."""
    return str(getattr(err, "orig", None) or err).strip().split("\n")[0]


def _free(place: Path) -> str:
    try:
        return f"{shutil.disk_usage(place).free / 1e6:.1f} MB"
    except OSError:
        return "nothing is known to be"
