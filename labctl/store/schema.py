"""The tables. An attempt is one judgement of one VM in one run; judging again adds one and changes none."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

#: Written into the database; a database of another version is not touched.
VERSION = 1

metadata = MetaData()

about = Table(
    "about",
    metadata,
    Column("key", String(40), primary_key=True),
    Column("value", String(200), nullable=False),
)

#: Times are UTC, ISO 8601, as in the JSON documents.
runs = Table(
    "runs",
    metadata,
    Column("run", String(60), primary_key=True),
    Column("lab", String(60), nullable=False),
    Column("title", String(200), nullable=False),
    Column("sections", JSON, nullable=False),
    Column("started", String(30), nullable=False),
    Column("finished", String(30)),
    Column("hosts", JSON, nullable=False),
)

#: What was seen, compressed JSON: stored once, judged any number of times.
evidence = Table(
    "evidence",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("format", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", String(60), ForeignKey("runs.run"), nullable=False),
    Column("host", String(255), nullable=False),
    Column("attempt", Integer, nullable=False),
    # "grade": from the VM itself; "regrade": from evidence kept before
    Column("kind", String(10), nullable=False),
    Column("made", String(30), nullable=False),
    Column("status", String(10), nullable=False),
    Column("score", Float),
    Column("max_score", Float),
    Column("document", LargeBinary, nullable=False),
    Column("evidence", Integer, ForeignKey("evidence.id")),
    UniqueConstraint("run", "host", "attempt"),
    Index("attempts_of_host", "host", "run"),
)
