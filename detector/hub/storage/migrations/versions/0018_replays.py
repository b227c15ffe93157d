"""Incidents that were found when recordings were replayed, and those of them that were known already."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"

UNJUDGED: dict[str, Any] = {"sqlite_where": sa.text("verdict IS NULL"), "postgresql_where": sa.text("verdict IS NULL")}
REPLAYED: dict[str, Any] = {
    "sqlite_where": sa.text("replayed_at IS NOT NULL"),
    "postgresql_where": sa.text("replayed_at IS NOT NULL"),
}
DOUBLED: dict[str, Any] = {
    "sqlite_where": sa.text("same_as IS NOT NULL"),
    "postgresql_where": sa.text("same_as IS NOT NULL"),
}
BY_TIME = [
    "started_at", "id", "told", "kind", "severity", "verdict", "site", "camera", "zone", "labels_low", "labels_high",
]  # fmt: skip
# Indexes that know of it now, and how they were before.
GROWN: dict[str, tuple[list[str], dict[str, Any]]] = {
    "incidents_by_time": (BY_TIME, {}),
    "incidents_by_kind": (["kind", "severity"], {}),
    "incidents_unjudged": (["harm", "started_at", "id", "site", "camera", "kind", "told"], UNJUDGED),
    "incidents_waiting": (["site", "camera", "kind", "told"], UNJUDGED),
}


def upgrade() -> None:
    """To the newer shape."""
    op.add_column("incidents", sa.Column("replayed_at", sa.Float(), nullable=True))
    op.add_column("incidents", sa.Column("same_as", sa.Text(), nullable=True))
    for name, (columns, where) in GROWN.items():
        op.drop_index(name, "incidents", if_exists=True)  # 0006 did not always make all of them
        op.create_index(name, "incidents", [*columns, "replayed_at"], **where)
    op.create_index("incidents_replayed", "incidents", ["started_at", "site", "edge", "camera", "told"], **REPLAYED)
    op.create_index("incidents_doubled", "incidents", ["same_as"], **DOUBLED)
