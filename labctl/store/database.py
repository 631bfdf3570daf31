"""Opening the results database: SQLite in the user's state directory, or any database by its URL."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import create_engine, event, insert, select
from sqlalchemy.engine import Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from labctl.errors import RequestError
from labctl.store import schema

if TYPE_CHECKING:
    from labctl.store.store import Store

#: Seconds to wait for another process that writes.
_BUSY_SECONDS = 30.0
# https://sqlite.org/wal.html: before these, two connections that write and checkpoint may corrupt a WAL
# database.
_WAL_SOUND = (3, 51, 3)
_WAL_MENDED = frozenset({(3, 50, 7), (3, 44, 6)})


class StoreError(RequestError):
    """The results database cannot be opened, or does not hold what is asked for."""


def results_url() -> str:
    """``LABCTL_DATABASE``, else a file in the user's state directory."""
    chosen = os.environ.get("LABCTL_DATABASE")
    if chosen:
        return chosen
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local/state"
    return f"sqlite:///{base / 'labctl' / 'results.sqlite'}"


def open_store(url: str | None = None, *, create: bool = False) -> Store:
    """The results database at ``url``, a SQLAlchemy URL.

    ``create``: one that is not there yet is made. Raises :class:`StoreError`.
    """
    from labctl.store.store import Store

    chosen = url or results_url()
    try:
        parsed = make_url(chosen)
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
        engine = create_engine(parsed, **_options(parsed.get_backend_name()))
        _prepare(engine)
    except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as err:
        raise StoreError(
            f"{chosen!r} is no database's URL: {err}", hint="for example sqlite:////srv/results.sqlite"
        ) from err
    except (OSError, SQLAlchemyError) as err:
        raise StoreError(f"cannot open the results database {chosen}: {_reason(err)}") from err
    return Store(engine)


def _options(backend: str) -> dict[str, Any]:
    return {"connect_args": {"timeout": _BUSY_SECONDS}} if backend == "sqlite" else {"pool_pre_ping": True}


def _prepare(engine: Engine) -> None:
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _safe_sqlite)
    schema.metadata.create_all(engine)
    with engine.begin() as connection:
        found = connection.execute(
            select(schema.about.c.value).where(schema.about.c.key == "version")
        ).scalar_one_or_none()
        if found is None:
            connection.execute(insert(schema.about).values(key="version", value=str(schema.VERSION)))
        elif found != str(schema.VERSION):
            raise StoreError(
                f"the results database has version {found}, and this labctl knows {schema.VERSION}",
                hint="use the labctl that made it, or another database (LABCTL_DATABASE)",
            )


def _safe_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    """A result that was committed survives a crash of this machine."""
    version = sqlite3.sqlite_version_info
    wal = version >= _WAL_SOUND or version in _WAL_MENDED
    connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
    connection.execute(f"PRAGMA synchronous={'FULL' if wal else 'EXTRA'}")
    connection.execute("PRAGMA foreign_keys=ON")


def _reason(err: BaseException) -> str:
    return str(getattr(err, "orig", None) or err)
