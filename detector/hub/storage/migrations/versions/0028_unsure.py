"""Whether an incident's photos are sure, beside its severity: something else may have made a warning of it."""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"

BY_TIME = [
    "started_at", "id", "told", "kind", "severity", "unsure", "verdict", "site", "camera", "zone", "labels_low",
    "labels_high", "replayed_at", "edge", "ended_at",
]  # fmt: skip
BY_CAMERA = [
    "site", "camera", "started_at", "id", "edge", "kind", "zone", "told", "verdict", "severity", "unsure",
    "labels_low", "labels_high",
]  # fmt: skip
# Of a damaged database some records may be no JSON any more.
IS_UNSURE = {
    "sqlite": "CASE WHEN json_valid(record) THEN json_type(record, '$.facts.unsure') = 'true' ELSE 0 END",
    "postgresql": "record -> 'facts' ->> 'unsure' = 'true'",
}


def upgrade() -> None:
    """To the newer shape."""
    op.add_column("incidents", sa.Column("unsure", sa.Boolean(), nullable=False, server_default=sa.false()))
    is_unsure = IS_UNSURE[op.get_bind().dialect.name]
    op.execute(sa.update(sa.table("incidents", sa.column("unsure"))).values(unsure=sa.true()).where(sa.text(is_unsure)))
    for name, columns in {"incidents_by_time": BY_TIME, "incidents_by_camera": BY_CAMERA}.items():
        op.drop_index(name, "incidents")
        op.create_index(name, "incidents", columns)
