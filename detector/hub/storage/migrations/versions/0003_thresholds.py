"""Thresholds that people set, with who and when; judged incidents found by an index of their own."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """To the newer shape."""
    op.create_table(
        "thresholds",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("edge", sa.Text(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("least_score", sa.Float(), nullable=True),
        sa.Column("before", sa.Float(), nullable=True),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("evidence", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("site", "edge", "version"),
        sqlite_autoincrement=True,
    )
    columns = ["started_at", "verdict", "site", "edge", "camera", "kind", "score", "id"]
    judged = sa.text("verdict IS NOT NULL")
    op.create_index("incidents_judged", "incidents", columns, sqlite_where=judged, postgresql_where=judged)
