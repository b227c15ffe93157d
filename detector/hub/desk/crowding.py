"""Lists in which a box that tells very much hides nothing of what others tell.

Which incidents are wanted comes in; those that are shown one by one leave, and how many are folded away below them.

Where there are several boxes, the newest `SHOWN` that one of them told of an hour are shown, of critical ones and of
others each; what it told beside them is folded into one line below these, which leads to all of them. It depends on
nothing but what is stored: so the same is shown and folded on whichever page of a list, and on one that stays open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, func, not_, select, tuple_

from detector.hub.storage.database import Database
from detector.hub.storage.edges import boxes_in_service
from detector.hub.storage.schema import incidents
from detector.hub.storage.store import read_incidents
from detector.hub.storage.stored import StoredIncident
from detector.hub.storage.wanted import Wanted
from detector.values import Severity

SHOWN = 10
HOUR_S = 3600.0

Cursor = tuple[float, str]  # a place in the feed: start and id

_place = tuple_(incidents.c.started_at, incidents.c.id)
_NEWEST_FIRST = (incidents.c.started_at.desc(), incidents.c.id.desc())


@dataclass(frozen=True, slots=True)
class Fold:
    """What one box told beside what is shown of it: so many that began from `since` to `until`, Unix seconds, which in
    a list of that box alone come after the place `after`."""

    site: str
    edge: str
    count: int
    since: float
    until: float
    after: Cursor


@dataclass(frozen=True, slots=True)
class _Hour:
    """What one box told of one hour, since the Unix epoch: what was critical, or all else."""

    site: str
    edge: str
    is_critical: bool
    hour: int

    @property
    def clause(self) -> ColumnElement[bool]:
        c, begins = incidents.c, self.hour * HOUR_S
        is_critical = c.severity == Severity.CRITICAL
        return and_(
            c.started_at >= begins, c.started_at < begins + HOUR_S, c.site == self.site, c.edge == self.edge,
            is_critical if self.is_critical else ~is_critical,
        )  # fmt: skip

    def above(self, connection: Connection, wanted: Wanted, place: Cursor) -> int:
        """How many of it are shown down to a place."""
        query = select(func.count()).where(*wanted.clauses(), self.clause, _place >= tuple_(*place))
        return connection.execute(query).scalar_one()

    def below(self, connection: Connection, wanted: Wanted, place: Cursor) -> Fold | None:
        """What of it comes after a place; `None` where nothing does."""
        at = incidents.c.started_at
        query = select(func.count(), func.min(at), func.max(at))
        query = query.where(*wanted.clauses(), self.clause, _place < tuple_(*place))
        count, since, until = connection.execute(query).one()
        return Fold(self.site, self.edge, count, since, until, place) if count else None


def gathered(
    database: Database, wanted: Wanted, limit: int, before: Cursor | None = None, down_to: Cursor | None = None
) -> tuple[list[StoredIncident], dict[str, Fold]]:
    """The newest of what is wanted, as `Store.feed` has it, without what is folded away.

    Args:
        database: Where they are.
        wanted: Which incidents.
        limit: How many are shown at most.
        before: They come after this place.
        down_to: None comes after this place.

    Returns:
        Incidents from newest to oldest, and folds by the id of that which they come below.
    """
    with database.reading() as connection:
        has_others = boxes_in_service(connection) > 1
        ids, folds = _walk(connection, wanted, limit, before, down_to, SHOWN if has_others else math.inf)
        found = {one.id: one for one in read_incidents(connection, ids)}
    return [found[incident] for incident in ids if incident in found], folds


def _walk(
    connection: Connection, wanted: Wanted, limit: int, before: Cursor | None, down_to: Cursor | None, most: float
) -> tuple[list[str], dict[str, Fold]]:
    c = incidents.c
    shown: list[str] = []
    folds: dict[str, Fold] = {}
    counts: dict[_Hour, int] = {}
    full: dict[_Hour, ColumnElement[bool]] = {}
    at = before
    while (asked := limit - len(shown)) > 0:
        query = select(c.started_at, c.id, c.site, c.edge, c.severity)
        query = query.where(*wanted.clauses(), *(not_(clause) for clause in full.values()))
        if at is not None:
            query = query.where(_place < tuple_(*at))
        if down_to is not None:
            query = query.where(_place >= tuple_(*down_to))
        rows = connection.execute(query.order_by(*_NEWEST_FIRST).limit(asked)).all()
        for row in rows:
            at = (row.started_at, row.id)
            hour = _Hour(row.site, row.edge, row.severity == Severity.CRITICAL, int(row.started_at // HOUR_S))
            if hour not in counts:
                is_begun = before is not None and hour.hour == before[0] // HOUR_S
                counts[hour] = hour.above(connection, wanted, before) if is_begun and before else 0
            counts[hour] += 1
            if counts[hour] > most:
                full.setdefault(hour, hour.clause)
                continue
            shown.append(row.id)
            if counts[hour] == most and (fold := hour.below(connection, wanted, at)):
                folds[row.id] = fold
                full[hour] = hour.clause
        if len(rows) < asked:
            break
    return shown, folds
