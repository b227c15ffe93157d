"""One index by time that answers whatever the feed is narrowed by; places, for its filters."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

FILTERS = ["told", "kind", "severity", "verdict", "site", "camera", "zone", "labels_low", "labels_high"]


def upgrade() -> None:
    """To the newer shape."""
    op.drop_index("incidents_by_time", "incidents")
    op.drop_index("incidents_by_lane", "incidents")
    op.create_index("incidents_by_time", "incidents", ["started_at", "id", *FILTERS])
    op.create_table(
        "places",
        sa.Column("site", sa.Text(), nullable=False),
        sa.Column("camera", sa.Text(), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("site", "camera", "zone"),
    )
    # Cameras' names for people come with their next alert.
    op.execute("INSERT INTO places SELECT DISTINCT site, camera, coalesce(zone, ''), camera FROM incidents")
