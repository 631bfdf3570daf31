"""Bringing a results database to today's tables when it is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Column, MetaData, PrimaryKeyConstraint, String, Table, inspect, text
from sqlalchemy.engine import Connection, Engine

from labctl.store import schema
from labctl.store.errors import StoreError

#: Any number, so long as every labctl takes the same: who migrates a PostgreSQL database holds this lock.
_LOCK = 0x6C616263

#: Where alembic keeps a database's revision, as alembic itself makes it.
_VERSION = Table(
    "alembic_version",
    MetaData(),
    Column("version_num", String(32), nullable=False),
    PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def migrate(engine: Engine) -> None:
    """Lead the database to ``schema.REVISION``: it may be empty, or of any earlier revision.

    All of it is one transaction, and of several processes that open the database at once one migrates.
    Raises :class:`StoreError` for a database of a newer labctl, which is left as it is.
    """
    with engine.connect() as connection:
        if _revision(connection) == schema.REVISION:
            return  # without alembic, whose import takes longer than all else
    with engine.execution_options(writes=True).begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = _revision(connection)
        if found is not None and found > schema.REVISION:
            raise StoreError(
                f"the results database is of revision {found}, and this labctl knows up to {schema.REVISION}",
                hint="use the labctl that wrote it (or a newer one), or another database (LABCTL_DATABASE)",
            )
        if found is None:
            _make(connection)
        elif found != schema.REVISION:
            _upgrade(connection, found)


def _revision(connection: Connection) -> str | None:
    """The revision of the tables, four digits; None where there are none."""
    tables = inspect(connection).get_table_names()
    if "alembic_version" in tables:
        return connection.execute(text("select version_num from alembic_version")).scalar_one_or_none()
    if "about" in tables:
        # of labctl before there were migrations
        version = connection.execute(
            text("select value from about where key = 'version'")
        ).scalar_one_or_none()
        return str(version).zfill(4) if version else None
    return None


def _make(connection: Connection) -> None:
    """Today's tables at once: what all migrations come to, without alembic and a step for each year."""
    schema.metadata.create_all(connection)
    connection.execute(schema.about.insert().values(key="version", value=str(int(schema.REVISION))))
    _VERSION.create(connection, checkfirst=True)
    connection.execute(_VERSION.insert().values(version_num=schema.REVISION))


def _upgrade(connection: Connection, found: str) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    config.attributes["connection"] = connection
    if "alembic_version" not in inspect(connection).get_table_names():
        command.stamp(config, found)
    command.upgrade(config, schema.REVISION)
