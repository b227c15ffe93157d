"""Zones beside its own in which some of an incident was done."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"

AT_ONCE = 200
INCIDENT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """To the newer shape."""
    also_in = op.create_table(
        "also_in",
        sa.Column("incident", INCIDENT, sa.ForeignKey("incidents.id"), nullable=False),
        sa.Column("zone", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("incident", "zone"),
    )
    _fill(also_in)
    op.execute(
        """
        INSERT INTO places
        SELECT i.site, i.camera, a.zone, max(p.title) FROM also_in a
        JOIN incidents i ON i.id = a.incident JOIN places p ON p.site = i.site AND p.camera = i.camera
        WHERE NOT EXISTS (SELECT 1 FROM places q WHERE q.site = i.site AND q.camera = i.camera AND q.zone = a.zone)
        GROUP BY i.site, i.camera, a.zone
        """
    )


def _fill(also_in: sa.Table) -> None:
    """What the records of old incidents say, read here: SQL's own JSON functions fail on what edges may write."""
    connection = op.get_bind()
    incidents = sa.table("incidents", sa.column("id"), sa.column("record", sa.JSON()))
    c = incidents.c
    # Of the few that name any: to read all records here would take minutes.
    page = sa.select(c.id, c.record).where(sa.cast(c.record, sa.Text()).contains('"other_zones"'))
    page = page.order_by(c.id).limit(AT_ONCE)
    rows = connection.execute(page).all()
    while rows:
        found = [{"incident": row.id, "zone": zone} for row in rows for zone in _zones(row.record)]
        if found:
            connection.execute(also_in.insert(), found)
        rows = connection.execute(page.where(c.id > rows[-1].id)).all()


def _zones(record: dict[str, Any]) -> set[str]:
    facts = record.get("facts")
    told = facts.get("other_zones") if isinstance(facts, dict) else None
    names = [name for name in told if isinstance(name, str)] if isinstance(told, list) else []
    return {name.encode("utf-8", "replace").decode().replace("\0", "?")[:200] for name in names} - {""}
