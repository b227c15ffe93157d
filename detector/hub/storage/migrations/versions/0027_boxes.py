"""Indexes that know whose box an incident is of: for the review desk's queue, and what is folded away in the feed."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"

UNJUDGED: dict[str, Any] = {"sqlite_where": sa.text("verdict IS NULL"), "postgresql_where": sa.text("verdict IS NULL")}
BY_TIME = [
    "started_at", "id", "told", "kind", "severity", "verdict", "site", "camera", "zone", "labels_low", "labels_high",
    "replayed_at", "edge", "ended_at",
]  # fmt: skip
BY_CAMERA = [
    "site", "camera", "started_at", "id", "edge", "kind", "zone", "told", "verdict", "severity", "labels_low",
    "labels_high",
]  # fmt: skip
INDEXES: dict[str, tuple[list[str], dict[str, Any]]] = {
    "incidents_by_time": (BY_TIME, {}),
    "incidents_by_camera": (BY_CAMERA, {}),
    "incidents_unjudged": (
        ["site", "edge", "harm", "started_at", "id", "camera", "kind", "told", "replayed_at", "verdict"],
        UNJUDGED,
    ),
    "incidents_waiting": (["site", "edge", "camera", "kind", "told", "replayed_at", "verdict"], UNJUDGED),
}


def upgrade() -> None:
    """To the newer shape."""
    for name, (columns, where) in INDEXES.items():
        op.drop_index(name, "incidents")
        op.create_index(name, "incidents", columns, **where)
