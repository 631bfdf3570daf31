"""Opening the results database: SQLite in the user's state directory, or any database by its URL."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, OperationalError, SQLAlchemyError

from labctl.store.errors import StoreError
from labctl.store.migrate import migrate
from labctl.store.refusal import reason, refused

if TYPE_CHECKING:
    from labctl.store.store import Store

#: Seconds to wait for another process that writes.
BUSY_SECONDS = 30.0
# https://sqlite.org/wal.html: before these, two connections that write and checkpoint may corrupt a WAL
# database.
_WAL_SOUND = (3, 51, 3)
_WAL_MENDED = frozenset({(3, 50, 7), (3, 44, 6)})
_ELSEWHERE = "LABCTL_DATABASE names another place"
#: What SQLite says of a file, or of a directory, that may not be written. The last is of a file with a WAL.
_NOT_WRITABLE = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR_LOCK)


def results_url() -> str:
    """``LABCTL_DATABASE``, else a file in the user's state directory."""
    chosen = os.environ.get("LABCTL_DATABASE")
    if chosen:
        return chosen
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local/state"
    return f"sqlite:///{base / 'labctl' / 'results.sqlite'}"


def open_store(url: str | None = None, *, create: bool = False) -> Store:
    """The results database at ``url``, a SQLAlchemy URL; one of an earlier labctl is migrated.

    ``create``: one that is not there yet is made. Raises :class:`StoreError`.
    """
    from labctl.store.store import Store

    chosen = url or results_url()
    # one that cannot be taken apart may hold a password all the same
    shown = re.sub(r"(://[^/:]*):.*@", r"\1:***@", chosen)
    try:
        parsed = _parsed(chosen, shown)
        shown = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite":
            path = _file(parsed, shown)
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
            elif not path.exists():
                raise StoreError(
                    f"there are no results yet: {path} does not exist",
                    hint=f"labctl grade VM keeps its results there; {_ELSEWHERE}",
                )
        engine = _opened(parsed) if create else _opened_somehow(parsed)
    except (ArgumentError, NoSuchModuleError) as err:
        raise StoreError(
            f"{shown!r} is no database's URL: {err}",
            hint="for example sqlite:////srv/results.sqlite or postgresql+psycopg://user@host/labctl",
        ) from err
    except ModuleNotFoundError as err:
        raise StoreError(
            f"{shown} needs the Python package {err.name}",
            hint="for PostgreSQL: pip install 'labctl[postgresql]', and postgresql+psycopg://...",
        ) from err
    except (OSError, UnicodeError, SQLAlchemyError) as err:  # of a name that no host or file can have
        hint = refused(err, parsed).hint if isinstance(err, SQLAlchemyError) else _ELSEWHERE
        raise StoreError(f"cannot open the results database {shown}: {reason(err)}", hint=hint) from err
    return Store(engine)


def _parsed(text: str, shown: str) -> URL:
    try:
        url = make_url(text)
    except ValueError as err:  # SQLAlchemy makes a number of whatever is behind the last colon
        raise StoreError(
            f"{shown!r} is no database's URL: what follows its last ':' is no port",
            hint="for example postgresql+psycopg://user@host:5432/labctl, or user@[::1]:5432",
        ) from err
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise StoreError(
            f"labctl keeps its results in SQLite or PostgreSQL, and {shown!r} is neither",
            hint="for example sqlite:////srv/results.sqlite or postgresql+psycopg://user@host/labctl",
        )
    return url


def _file(url: URL, shown: str) -> Path:
    """SQLite's file. Raises :class:`StoreError` where there is none, and all would be kept in memory."""
    if url.database and not url.database.startswith(("file:", ":memory:")):
        return Path(url.database)
    raise StoreError(
        f"{shown!r} names no file: what is kept in memory is lost when labctl ends",
        hint="for example sqlite:////srv/results.sqlite; was a variable empty that stands in it?",
    )


def _opened(url: URL, query: str = "") -> Engine:
    """The database with today's tables. ``query``: of a SQLite that is read and never written."""
    engine = _engine(url, query)
    try:
        migrate(engine)
    except BaseException:
        engine.dispose()
        raise
    return engine


def _opened_somehow(url: URL) -> Engine:
    """The database, to be read at least: a file that we may not write, or that lies where we may not."""
    try:
        return _opened(url)
    except OperationalError as err:
        code = _code(err)
        if not {code, code & 0xFF}.intersection(_NOT_WRITABLE):
            raise
        try:
            return _opened_to_read(url, "mode=ro")
        except OperationalError:
            # https://sqlite.org/wal.html#readonly: beside a file with a WAL others have to be made. Without
            # them it is whole by itself, unless somebody was in the middle of writing it.
            if any(_is_filled(Path(f"{url.database}{ending}")) for ending in ("-wal", "-journal")):
                raise err from None
            return _opened_to_read(url, "immutable=1")


def _opened_to_read(url: URL, query: str) -> Engine:
    try:
        return _opened(url, query)
    except OperationalError as err:
        if _code(err) & 0xFF != sqlite3.SQLITE_READONLY:
            raise
        try:
            return _copied(url, query)  # of an earlier labctl, it would have to be migrated
        except sqlite3.OperationalError:  # it cannot even be read so
            raise err from None


def _copied(url: URL, query: str) -> Engine:
    """A copy in memory with today's tables, which refuses to be written as the file itself does."""
    # shared by name among the connections of this process; it is there as long as there is one of them
    place = f"file:labctl-{secrets.token_hex(8)}?mode=memory&cache=shared"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(place, uri=True, timeout=BUSY_SECONDS, check_same_thread=False)

    engine = create_engine(url, creator=connect)
    event.listen(engine, "connect", _as_asked)
    event.listen(engine, "begin", _begin_sqlite)
    with contextlib.closing(connect()) as copy:
        with contextlib.closing(_read_only(url, query)) as source:
            source.backup(copy)
        migrate(engine)  # the engine keeps the connection that it has made for this
    event.listen(engine, "begin", lambda link: link.exec_driver_sql("PRAGMA query_only=ON"))
    return engine


def _code(err: OperationalError) -> int:
    return getattr(err.orig, "sqlite_errorcode", 0)


def _is_filled(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


def _engine(url: URL, query: str = "") -> Engine:
    if url.get_backend_name() != "sqlite":
        # a server that does not answer is told, not waited for
        limits = {key: value for key, value in _CONNECT.items() if key not in url.query}
        engine = create_engine(url, pool_pre_ping=True, connect_args=limits)
        if engine.dialect.driver == "psycopg":
            event.listen(engine, "do_connect", _timed)
        return engine
    if query:
        engine = create_engine(url, creator=lambda: _read_only(url, query))
        event.listen(engine, "connect", _as_asked)
    else:
        engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
        event.listen(engine, "connect", _safe_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


_CONNECT = {"connect_timeout": 10}


def _timed(_dialect: object, _record: object, words: Any, options: dict[str, Any]) -> Any:
    from labctl.store.timed import Timed  # psycopg is there only where it was asked for

    return Timed.connect(*words, **options)


def _safe_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """A result that was committed survives a crash of this machine."""
    version = sqlite3.sqlite_version_info
    wal = version >= _WAL_SOUND or version in _WAL_MENDED
    connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
    connection.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")
    _as_asked(connection, _record)


def _read_only(url: URL, query: str) -> sqlite3.Connection:
    place = Path(str(url.database)).absolute().as_uri()
    return sqlite3.connect(f"{place}?{query}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False)


def _as_asked(connection: sqlite3.Connection, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    # _begin_sqlite begins transactions: sqlite3 itself would not before a table is made, nor before a read
    connection.isolation_level = None


def _begin_sqlite(connection: Connection) -> None:
    """Who will write waits for the other writers now, not between its reading and its writing."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
