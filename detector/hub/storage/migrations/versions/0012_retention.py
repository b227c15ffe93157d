"""Footage that is announced to go, and what has gone; files that are to be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """To the newer shape."""
    op.create_table(
        "retention",
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("announced_at", sa.Float(), nullable=False),
        sa.Column("deleted_at", sa.Float(), nullable=True),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("rule", sa.Text(), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("incident"),
    )
    op.create_index("ix_retention_announced_at", "retention", ["announced_at"])
    op.create_index("ix_retention_deleted_at", "retention", ["deleted_at"])
    op.create_table("doomed", sa.Column("file", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("file"))
