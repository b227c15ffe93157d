"""Lists in which a box that tells very much hides nothing of what others tell.

Which incidents are wanted comes in; those that are shown one by one leave, and how many are folded away below them.

Where there are several boxes, the newest `SHOWN` that one of them told of an hour are shown, of critical ones and of
others each; what it told beside them is folded into one line below these, which leads to all of them. It depends on
nothing but what is stored: so the same is shown and folded on whichever page of a list, and on one that stays open.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

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
Clauses = list[ColumnElement[bool]]  # of what is wanted

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


class _Hour(NamedTuple):
    """What one box told of one hour, since the Unix epoch: what was critical, or all else."""

    site: str
    edge: str
    is_critical: bool
    hour: int

    @property
    def clause(self) -> ColumnElement[bool]:
        c, begins = incidents.c, self.hour * HOUR_S
        # Through functions, as in `Wanted.clauses`: SQLite would read all of a site's incidents for one of its hours.
        site, edge, severity = (func.coalesce(column, "") for column in (c.site, c.edge, c.severity))
        is_critical = severity == Severity.CRITICAL
        return and_(
            c.started_at >= begins, c.started_at < begins + HOUR_S, site == self.site, edge == self.edge,
            is_critical if self.is_critical else ~is_critical,
        )  # fmt: skip

    def above(self, connection: Connection, wanted: Clauses, place: Cursor) -> int:
        """How many of it are shown down to a place."""
        query = select(func.count()).where(*wanted, self.clause, _place >= tuple_(*place))
        return connection.execute(query).scalar_one()


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
        most = SHOWN if boxes_in_service(connection) > 1 else math.inf
        ids, full = _walk(connection, wanted.clauses(), limit, before, down_to, most)
        folds = _folds(connection, wanted.clauses(), full, ids, before) if full else {}
        found = {one.id: one for one in read_incidents(connection, ids)}
    return [found[incident] for incident in ids if incident in found], folds


def _walk(
    connection: Connection, wanted: Clauses, limit: int, before: Cursor | None, down_to: Cursor | None, most: float
) -> tuple[list[str], dict[_Hour, Cursor]]:
    """Ids of those shown, and of hours that have no more room the place of the last that is shown."""
    c = incidents.c
    shown: list[str] = []
    counts: dict[_Hour, int] = {}
    full: dict[_Hour, Cursor] = {}
    passed_over: dict[_Hour, ColumnElement[bool]] = {}
    at = before
    while len(shown) < limit:
        query = select(c.started_at, c.id, c.site, c.edge, c.severity)
        query = query.where(*wanted, *(not_(clause) for clause in passed_over.values()))
        if at is not None:
            query = query.where(_place < tuple_(*at))
        if down_to is not None:
            query = query.where(_place >= tuple_(*down_to))
        rows = connection.execute(query.order_by(*_NEWEST_FIRST).limit(limit)).all()
        for started_at, incident, site, edge, severity in rows:
            if len(shown) == limit:
                break
            at = (started_at, incident)
            hour = _Hour(site, edge, severity == Severity.CRITICAL, int(started_at // HOUR_S))
            if hour not in counts:
                is_begun = before is not None and hour.hour == before[0] // HOUR_S
                counts[hour] = hour.above(connection, wanted, before) if is_begun and before else 0
            counts[hour] += 1
            if counts[hour] <= most:
                shown.append(incident)
            elif hour not in passed_over:
                passed_over[hour] = hour.clause
            if counts[hour] == most:
                full[hour] = at
        if len(rows) < limit:
            break
    return shown, full


def _folds(
    connection: Connection, wanted: Clauses, full: dict[_Hour, Cursor], shown: list[str], before: Cursor | None
) -> dict[str, Fold]:
    """What comes below those shown of hours that have no more room, by the id of the last that is shown."""
    c, hours = incidents.c, [hour.hour for hour in full]
    is_critical, number = c.severity == Severity.CRITICAL, func.floor(c.started_at / HOUR_S)
    by = (c.site, c.edge, is_critical, number)
    query = select(*by, func.count(), func.min(c.started_at), func.max(c.started_at)).group_by(*by)
    span = (c.started_at >= min(hours) * HOUR_S, c.started_at < (max(hours) + 1) * HOUR_S)
    query = query.where(*wanted, *span, c.id.not_in(shown))
    if before is not None:
        query = query.where(_place < tuple_(*before))
    folds: dict[str, Fold] = {}
    for site, edge, critical, n, count, since, until in connection.execute(query):
        place = full.get(_Hour(site, edge, bool(critical), int(n)))
        if place is not None:
            folds[place[1]] = Fold(site, edge, count, since, until, place)
    return folds
