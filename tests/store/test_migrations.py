"""Databases of earlier and later labctls, SQLite and PostgreSQL."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from graded import document
from sqlalchemy import MetaData, create_engine, inspect, text
from test_store import READER
from world import LAB

import labctl.store
from labctl.grading import lab_document
from labctl.store import StoreError, open_store, schema

pytestmark = pytest.mark.slow

ABOUT = lab_document(LAB)


def execute(url: str, *statements: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


def of_revision(url: str, revision: str) -> None:
    """Make the tables as they were."""
    config = Config()
    config.set_main_option("script_location", str(Path(labctl.store.__file__).parent / "migrations"))
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


def rows(url: str) -> dict[str, list[tuple[object, ...]]]:
    """What is in every table."""
    engine = create_engine(url)
    tables = MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        found = {
            name: [tuple(row) for row in connection.execute(one.select())]
            for name, one in tables.tables.items()
        }
    engine.dispose()
    return found


def all_of_it(url: str) -> None:
    of_revision(url, "head")


def at_once(url: str) -> None:
    open_store(url, create=True).close()


@pytest.mark.parametrize("make", [all_of_it, at_once])
def test_the_migrations_and_a_new_database_have_the_tables_that_labctl_uses(
    url: str, make: Callable[[str], None]
) -> None:
    make(url)
    assert rows(url) == {
        "about": [("version", str(int(schema.REVISION)))],
        "alembic_version": [(schema.REVISION,)],
        "runs": [],
        "evidence": [],
        "attempts": [],
        "leases": [],
    }
    engine = create_engine(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.REVISION
    engine.dispose()


def test_the_newest_migration_is_the_revision_that_labctl_asks_for() -> None:
    versions = Path(labctl.store.__file__).parent / "migrations" / "versions"
    assert max(path.name for path in versions.glob("*.py")).startswith(f"{schema.REVISION}_")


def test_results_of_before_there_were_migrations_are_all_there_afterwards(url: str) -> None:
    of_revision(url, "0001")
    execute(
        url,
        "drop table alembic_version",
        "insert into runs (run, lab, title, sections, started, hosts) values "
        """('20261121T080000-aaaaaa', 'lab7', 'Lab 7', '[]', '2026-11-21T08:00:00Z', '["vm"]')""",
    )
    store = open_store(url)
    assert store.find("last") == "20261121T080000-aaaaaa"
    store.add("20261121T080000-aaaaaa", document("vm"))
    (row,) = store.runs()
    assert (row.hosts, row.graded, row.keep) == (1, 1, "last")
    store.close()
    # and labctl of then is told not to write
    engine = create_engine(url)
    with engine.connect() as connection:
        assert connection.execute(text("select value from about")).scalar_one() == "2"
    engine.dispose()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_results_of_before_that_may_not_be_written_are_read_and_left_as_they_are(
    tmp_path: Path, mode: str
) -> None:
    file = tmp_path / "there" / "results.sqlite"
    file.parent.mkdir()
    url = f"sqlite:///{file}"
    of_revision(url, "0001")
    execute(
        url,
        "drop table alembic_version",
        "insert into runs (run, lab, title, sections, started, hosts) values "
        """('20261121T080000-aaaaaa', 'lab7', 'Lab 7', '[]', '2026-11-21T08:00:00Z', '["student1"]')""",
    )
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    hosts = tmp_path / "hosts.yml"
    hosts.write_text("all: {hosts: {student1: {ansible_connection: local}}}\n")
    file.chmod(0o400)
    file.parent.chmod(0o500)
    before = file.read_bytes()
    read, written = (
        subprocess.run(
            [sys.executable, "-c", READER, *words, "--database", url],
            capture_output=True,
            text=True,
            check=False,
        )
        for words in (["runs"], ["grade", "student1", "--run", "last", "-i", str(hosts)])
    )
    file.parent.chmod(0o700)
    assert (read.returncode, "0 of 1 VMs graded" in read.stdout) == (0, True), read.stderr
    assert (written.returncode, f"{file} cannot be written" in written.stderr) == (2, True), written.stderr
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    "later", ["update alembic_version set version_num = '9999'", "drop table alembic_version"]
)
def test_a_newer_database_is_refused_and_left_as_it_is(url: str, later: str) -> None:
    open_store(url, create=True).close()
    execute(url, later, "update about set value = '9999'")
    engine = create_engine(url)
    before = inspect(engine).get_table_names()
    with pytest.raises(StoreError, match="revision 9999") as caught:
        open_store(url)
    assert "the labctl that wrote it" in caught.value.hint
    assert inspect(engine).get_table_names() == before
    engine.dispose()


def test_of_many_that_open_an_empty_database_at_once_one_makes_the_tables(url: str) -> None:
    line = "import sys; from labctl.store import open_store; open_store(sys.argv[1], create=True).close()"
    opening = [subprocess.Popen([sys.executable, "-c", line, url]) for _ in range(4)]
    assert [process.wait(60) for process in opening] == [0, 0, 0, 0]


def test_a_migration_that_is_killed_leaves_the_database_as_it_was(url: str) -> None:
    of_revision(url, "0001")
    line = (
        "import os, sys; from alembic import op\n"
        "op.execute = lambda *a: os.kill(os.getpid(), 9)\n"
        "from labctl.store import open_store; open_store(sys.argv[1])"
    )
    assert subprocess.run([sys.executable, "-c", line, url], check=False, env=os.environ).returncode == -9
    engine = create_engine(url)
    assert "leases" not in inspect(engine).get_table_names()
    engine.dispose()
    store = open_store(url)
    assert store.runs() == []
    store.close()


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot open the results database") as caught:
        open_store(f"postgresql+psycopg://me:secret@/results?host={tmp_path}")
    assert "secret" not in caught.value.message
