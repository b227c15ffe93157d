"""Lanes: alert or digest, and the shift whose budget an incident takes from; camera, zone and score of their own.

Notes of before go to the digest, all else was an alert. Their shift stays empty: it is over, or its budget begins anew.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

INDEXES = {
    "incidents_by_lane": ["told", "started_at", "id"],
    "incidents_by_shift": ["shift", "told"],
}
AT_ONCE = 1000


def upgrade() -> None:
    """To the newer shape."""
    op.add_column("incidents", sa.Column("camera", sa.Text(), nullable=False, server_default=""))
    op.add_column("incidents", sa.Column("zone", sa.Text(), nullable=True))
    op.add_column("incidents", sa.Column("score", sa.Float(), nullable=False, server_default="0"))
    op.add_column("incidents", sa.Column("told", sa.Text(), nullable=False, server_default="alert"))
    op.add_column("incidents", sa.Column("shift", sa.Text(), nullable=False, server_default=""))
    _fill()
    for name, columns in INDEXES.items():
        op.create_index(name, "incidents", columns, unique=False)


def _fill() -> None:
    """What the records of old incidents say, read here: SQL's own JSON functions fail on what edges may write."""
    connection = op.get_bind()
    incidents = sa.table(
        "incidents", *(sa.column(name) for name in ("id", "severity", "camera", "zone", "score", "told")),
        sa.column("record", sa.JSON()),
    )  # fmt: skip
    c = incidents.c
    page = sa.select(c.id, c.severity, c.record).order_by(c.id).limit(AT_ONCE)
    filled = sa.update(incidents).where(c.id == sa.bindparam("of"))
    rows = connection.execute(page).all()
    while rows:
        connection.execute(filled, [_told(*row) for row in rows])
        rows = connection.execute(page.where(c.id > rows[-1].id)).all()


def _told(incident: str, severity: str, record: dict[str, object]) -> dict[str, object]:
    zone = record.get("zone")
    return {
        "of": incident,
        "camera": str(record["camera"])[:200],
        "zone": str(zone)[:200] if zone else None,
        "score": float(str(record["score"])),
        "told": "digest" if severity == "info" else "alert",
    }
