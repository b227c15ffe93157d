"""Which boxes tell more critical incidents than happen: be they broken, or in a thief's hands.

Counted as they come, not by when they say that they were: that a box makes up. Of an incident that goes on the last
word counts, of what a replay brought none.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import func, select

from detector.hub.storage.database import Database
from detector.hub.storage.schema import alerts, incidents
from detector.values import Severity

HOUR_S = 3600.0
MOST_COUNTED = 10_000  # incidents of one box
LOOKED_BACK = 5_000  # alerts, after a start


@dataclass(frozen=True, slots=True)
class Flood:
    """A box, and how many critical incidents it told within the last hour, at most `MOST_COUNTED`."""

    site: str
    edge: str
    count: int


class Floods:
    """Counts critical incidents of every box. Not to be called by two threads at once."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._seen: int | None = None
        self._came: defaultdict[tuple[str, str], dict[str, float]] = defaultdict(dict)

    def count(self, now: float) -> list[Flood]:
        """Every box that told any within the hour."""
        a = alerts.c
        with self._database.reading() as connection:
            newest = connection.execute(select(func.coalesce(func.max(a.number), 0))).scalar_one()
            seen = max(0, newest - LOOKED_BACK) if self._seen is None or self._seen > newest else self._seen
            query = (
                select(a.site, a.edge, a.incident, func.max(a.received_at).label("at"))
                .join(incidents, incidents.c.id == a.incident)
                .where(a.number > seen, a.number <= newest, a.received_at > now - HOUR_S)
                .where(a.received_at <= now)  # not what came by a clock that was ahead
                .where(incidents.c.severity == Severity.CRITICAL, incidents.c.replayed_at.is_(None))
                .group_by(a.site, a.edge, a.incident)
            )
            for row in connection.execute(query):
                of_box = self._came[row.site, row.edge]
                if row.incident in of_box or len(of_box) < MOST_COUNTED:
                    of_box[row.incident] = row.at
        self._seen = newest
        for box, of_box in list(self._came.items()):
            left = {incident: at for incident, at in of_box.items() if at > now - HOUR_S}
            if left:
                self._came[box] = left
            else:
                del self._came[box]
        return [Flood(*box, len(of_box)) for box, of_box in self._came.items()]
