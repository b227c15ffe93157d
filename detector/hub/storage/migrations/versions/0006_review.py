"""What the review desk needs: an order by harm, reasons of verdicts, notes."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """To the newer shape."""
    op.add_column("verdicts", sa.Column("reason", sa.Text(), nullable=False, server_default=""))
    op.create_table(
        "notes",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("user", sa.Text(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["incident"], ["incidents.id"]),
        sa.PrimaryKeyConstraint("number"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notes_incident", "notes", ["incident"])
    op.add_column("incidents", sa.Column("harm", sa.BigInteger(), nullable=False, server_default="0"))
    op.execute(
        """
        UPDATE incidents SET harm =
            CASE severity WHEN 'critical' THEN 3 WHEN 'warning' THEN 2 WHEN 'info' THEN 1 ELSE 0 END * 1000000000000
            + CASE WHEN labels_best > 1000000000 THEN 1000000000 ELSE labels_best END * CAST(100 AS BIGINT)
            + CASE kind WHEN 'label_photography' THEN 5 WHEN 'orientation_pattern' THEN 4 WHEN 'blind_corner' THEN 3
                WHEN 'tamper' THEN 2 WHEN 'lingering' THEN 1 ELSE 0 END
        """
    )
    op.create_index("incidents_by_camera", "incidents", ["site", "camera", "started_at", "id"])
    op.create_index(
        "incidents_unjudged",
        "incidents",
        ["harm", "started_at", "id", "site", "camera", "kind", "told"],
        sqlite_where=sa.text("verdict IS NULL"),
        postgresql_where=sa.text("verdict IS NULL"),
    )
    op.create_index(
        "incidents_waiting",
        "incidents",
        ["site", "camera", "kind", "told"],
        sqlite_where=sa.text("verdict IS NULL"),
        postgresql_where=sa.text("verdict IS NULL"),
    )
