"""Which boxes tell more critical incidents than happen: be they broken, or in a thief's hands.

Counted as they come, not by when they say that they were: that a box makes up. But not what the hub couldn't hear: of
what is said to have been while it was cut off, by the hub's own record, each hour is counted for itself, so that a
backlog which comes all at once is none. Of an incident that goes on the last word counts; of what a replay brought,
none.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select

from detector.hub.storage.database import Database
from detector.hub.storage.schema import alerts, incidents
from detector.hub.storage.stored import EdgeId
from detector.hub.watch.gaps import Gaps
from detector.values import Severity

HOUR_S = 3600.0
MOST_COUNTED = 10_000  # incidents of one box
LOOKED_BACK = 5_000  # alerts, after a start
FEW = 20  # of so many or fewer it makes no difference when they were


@dataclass(frozen=True, slots=True)
class Flood:
    """A box, and how many critical incidents of one hour it told within the last, at most `MOST_COUNTED`."""

    site: str
    edge: str
    count: int


class Floods:
    """Counts critical incidents of every box. Not to be called by two threads at once.

    Args:
        database: Where they are.
        gaps: Knows when boxes could not be heard.
    """

    def __init__(self, database: Database, gaps: Gaps) -> None:
        self._database, self._gaps = database, gaps
        self._seen: int | None = None
        self._came: defaultdict[tuple[str, str], dict[str, tuple[float, float]]] = defaultdict(dict)

    def count(self, now: float) -> list[Flood]:
        """Every box that told any within the hour."""
        a, i = alerts.c, incidents.c
        with self._database.reading() as connection:
            newest = connection.execute(select(func.coalesce(func.max(a.number), 0))).scalar_one()
            seen = max(0, newest - LOOKED_BACK) if self._seen is None or self._seen > newest else self._seen
            query = (
                select(a.site, a.edge, a.incident, func.max(a.received_at).label("at"), i.started_at)
                .join(incidents, i.id == a.incident)
                .where(a.number > seen, a.number <= newest, a.received_at > now - HOUR_S)
                .where(a.received_at <= now)  # not what came by a clock that was ahead
                .where(i.severity == Severity.CRITICAL, i.replayed_at.is_(None))
                .group_by(a.site, a.edge, a.incident, i.started_at)
            )
            for row in connection.execute(query):
                of_box = self._came[row.site, row.edge]
                if row.incident in of_box or len(of_box) < MOST_COUNTED:
                    of_box[row.incident] = row.at, row.started_at
        self._seen = newest
        for box, of_box in list(self._came.items()):
            left = {incident: at for incident, at in of_box.items() if at[0] > now - HOUR_S}
            if left:
                self._came[box] = left
            else:
                del self._came[box]
        return [Flood(*box, self._of_one_hour(box, of_box)) for box, of_box in self._came.items()]

    def _of_one_hour(self, box: EdgeId, came: Mapping[str, tuple[float, float]]) -> int:
        """How many of these are of the last hour, or of the one with most of them that the hub couldn't hear."""
        began = [started_at for _, started_at in came.values()]
        if len(began) <= FEW:
            return len(began)
        unheard = self._gaps.unheard(*box, since=min(began))
        hours = Counter(math.floor(at / HOUR_S) for at in began if unheard.holds(at))
        return max(len(began) - hours.total(), *hours.values(), 0)
