"""Verdicts on incidents: which of them counts, and who may replace it."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, select, update

from detector.hub.storage.schema import incidents, verdicts
from detector.hub.storage.stored import Contested, Verdict


def standing(incident: str) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `verdicts`: those on an incident that nobody took back, of which the latest counts."""
    return verdicts.c.incident == incident, verdicts.c.withdrawn_at.is_(None)


def verdicts_on(connection: Connection, incident: str) -> list[Verdict]:
    """Every verdict on an incident, latest first."""
    columns = (verdicts.c[name] for name in Verdict.__slots__)
    query = select(*columns).where(verdicts.c.incident == incident).order_by(verdicts.c.number.desc())
    return [Verdict(**row._mapping) for row in connection.execute(query)]


def ask_over(connection: Connection, incident: str, user: str, over: int | None) -> None:
    """Make sure that somebody may replace the verdict that counts: see `Store.add_verdict`.

    Raises:
        Contested: It is somebody else's, and not the one that `over` names.
    """
    if over is None:
        return
    latest = next((one for one in verdicts_on(connection, incident) if one.withdrawn_at is None), None)
    if latest is not None and latest.user != user and latest.number != over:
        raise Contested(latest)


def settle(connection: Connection, incident: str) -> None:
    """Have an incident be what the verdict that counts says, or judged by nobody."""
    latest = select(verdicts.c.verdict).where(*standing(incident)).order_by(verdicts.c.number.desc()).limit(1)
    connection.execute(update(incidents).where(incidents.c.id == incident).values(verdict=latest.scalar_subquery()))
