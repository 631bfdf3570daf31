"""Leases, the rule that says which attempt counts, and what was asked for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("runs", sa.Column("keep", sa.String(10), nullable=False, server_default="last"))
    op.add_column("runs", sa.Column("asked", sa.JSON))
    op.create_table(
        "leases",
        sa.Column("lab", sa.String(60), primary_key=True),
        sa.Column("vm", sa.String(500), primary_key=True),
        sa.Column("token", sa.String(40), nullable=False),
        sa.Column("run", sa.String(60), nullable=False),
        sa.Column("holder", sa.JSON, nullable=False),
        sa.Column("since", sa.String(30), nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
    )
    op.execute("update about set value = '2' where key = 'version'")
