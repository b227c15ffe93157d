"""Gaps and late alerts of edges."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

NUMBER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
LATE = sa.text("received_at - sent_at > 60")
OPEN = sa.text("ended_at IS NULL")


def upgrade() -> None:
    """To the newer shape."""
    op.create_index("alerts_late", "alerts", ["sent_at"], sqlite_where=LATE, postgresql_where=LATE)
    op.create_index("incidents_by_kind", "incidents", ["kind", "severity"])
    op.add_column("edges", sa.Column("clock_offset_s", sa.Float(), nullable=True))
    op.create_table(
        "watched",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("until", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("site", "edge", "camera"),
    )
    op.create_table(
        "gaps",
        sa.Column("number", NUMBER, autoincrement=True, nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("began_at", sa.Float(), nullable=False),
        sa.Column("ended_at", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_gaps_began_at", "gaps", ["began_at"])
    one_open = ["what", "site", "edge", "camera"]
    op.create_index("gaps_open", "gaps", one_open, unique=True, sqlite_where=OPEN, postgresql_where=OPEN)
