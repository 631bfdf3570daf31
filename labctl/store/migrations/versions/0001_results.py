"""Runs, attempts, evidence."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    about = op.create_table(
        "about",
        sa.Column("key", sa.String(40), primary_key=True),
        sa.Column("value", sa.String(200), nullable=False),
    )
    op.bulk_insert(about, [{"key": "version", "value": "1"}])
    op.create_table(
        "runs",
        sa.Column("run", sa.String(60), primary_key=True),
        sa.Column("lab", sa.String(60), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("sections", sa.JSON, nullable=False),
        sa.Column("started", sa.String(30), nullable=False),
        sa.Column("finished", sa.String(30)),
        sa.Column("hosts", sa.JSON, nullable=False),
    )
    op.create_table(
        "evidence",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("format", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "attempts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("run", sa.String(60), sa.ForeignKey("runs.run"), nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("kind", sa.String(10), nullable=False),
        sa.Column("made", sa.String(30), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("max_score", sa.Float),
        sa.Column("document", sa.LargeBinary, nullable=False),
        sa.Column("evidence", sa.Integer, sa.ForeignKey("evidence.id")),
        sa.UniqueConstraint("run", "host", "attempt"),
    )
    op.create_index("attempts_of_host", "attempts", ["host", "run"])
