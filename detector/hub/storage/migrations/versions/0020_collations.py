"""Incidents' ids have one collation in all tables, so that PostgreSQL finds by its indexes what belongs to one."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"

COLUMNS = {
    "incident": (
        "alerts", "snapshots", "changes", "clips", "sides", "clip_formats", "derived", "verdicts", "notes",
        "zone_proposals", "notices", "case_incidents", "holds", "retention",
    ),
    "same_as": ("incidents",),
}  # fmt: skip


def upgrade() -> None:
    """To the newer shape."""
    if op.get_bind().dialect.name == "postgresql":
        for column, tables in COLUMNS.items():
            for table in tables:
                op.alter_column(table, column, type_=sa.Text(collation="C"))
