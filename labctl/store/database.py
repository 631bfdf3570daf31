"""Opening the results database: SQLite in the user's state directory, or any database by its URL."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

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
    shown = chosen
    try:
        parsed = make_url(chosen)
        shown = parsed.render_as_string(hide_password=True)
        if parsed.get_backend_name() == "sqlite" and parsed.database:
            path = Path(parsed.database)
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch(mode=0o600)
            elif not path.exists():
                raise StoreError(
                    f"there are no results yet: {path} does not exist",
                    hint="labctl grade VM keeps its results there; LABCTL_DATABASE names another place",
                )
        engine = _engine(parsed)
        try:
            migrate(engine)
        except BaseException:
            engine.dispose()
            raise
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
    except (OSError, SQLAlchemyError) as err:
        hint = refused(err, parsed).hint if isinstance(err, SQLAlchemyError) else ""
        raise StoreError(f"cannot open the results database {shown}: {reason(err)}", hint=hint) from err
    return Store(engine)


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        # a server that does not answer is told, not waited for
        return create_engine(url, pool_pre_ping=True, connect_args=_CONNECT.get(url.get_backend_name(), {}))
    engine = create_engine(url, connect_args={"timeout": BUSY_SECONDS})
    event.listen(engine, "connect", _safe_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


_CONNECT: dict[str, dict[str, Any]] = {"postgresql": {"connect_timeout": 10}}


def _safe_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """A result that was committed survives a crash of this machine."""
    version = sqlite3.sqlite_version_info
    wal = version >= _WAL_SOUND or version in _WAL_MENDED
    connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
    connection.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")
    connection.execute("PRAGMA foreign_keys=ON")
    # _begin_sqlite begins transactions: sqlite3 itself would not before a table is made, nor before a read
    connection.isolation_level = None


def _begin_sqlite(connection: Connection) -> None:
    """Who will write waits for the other writers now, not between its reading and its writing."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
