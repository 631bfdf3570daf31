"""The tables as they are now; :mod:`labctl.store.migrations` leads here from every earlier revision.

An attempt is one judgement of one VM in one run; judging again adds one and changes none.
"""

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

#: The revision of these tables: the newest file of migrations/versions.
REVISION = "0002"

metadata = MetaData()

#: Where labctl before revision 0002 looked for the tables' version, and is still told not to write.
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
    # which of a VM's attempts counts: best, last or first
    Column("keep", String(10), nullable=False, server_default="last"),
    # what was asked for, for --resume: see labctl.store.Asked
    Column("asked", JSON),
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

#: Who works on which VM now. ``token`` is new with each lease, ``expires`` in seconds since 1970.
leases = Table(
    "leases",
    metadata,
    Column("lab", String(60), primary_key=True),
    Column("vm", String(500), primary_key=True),
    Column("token", String(40), nullable=False),
    Column("run", String(60), nullable=False),
    Column("holder", JSON, nullable=False),
    Column("since", String(30), nullable=False),
    Column("expires", Float, nullable=False),
)
