"""The record of spans without a watch, and of alerts that came late for them: asked for by pages, kept by `health`."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

from sqlalchemy import func, or_, select, text

from detector import wire
from detector.clock import Clock
from detector.errors import WireError
from detector.hub.storage.database import Database
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import alerts, edge_keys, edges, gaps, incidents, refusals, watched
from detector.hub.storage.stored import EdgeId

MINUTE_S = 60.0
LATE_S = 60.0
LATE_CARD_S = 600.0
NOTED_S = 60.0
LATE = text("alerts.received_at - alerts.sent_at > 60")  # as the index `alerts_late` has it


@dataclass(frozen=True, slots=True)
class Gap:
    """A span in which something was not watched; `ended_at` is `None` while it lasts.

    `late` counts alerts made in it that came more than a minute after.
    """

    number: int
    what: str
    site: str
    edge: str
    camera: str
    began_at: float
    ended_at: float | None
    late: int = 0

    def lasted_s(self, now: float) -> float:
        """Its length so far, seconds."""
        return max(0.0, (now if self.ended_at is None else self.ended_at) - self.began_at)


class Late(NamedTuple):
    """How many alerts that an edge made within half a minute of a time, Unix seconds by the hub's clock, came late."""

    site: str
    edge: str
    at: float
    n: int


@dataclass(frozen=True, slots=True)
class Unheard:
    """Spans in which the hub could not hear a box, Unix seconds."""

    spans: tuple[tuple[float, float], ...] = ()

    def holds(self, at: float) -> bool:
        """Whether what happened at a time waited for the end of one."""
        return any(began - NOTED_S <= at <= ended + NOTED_S for began, ended in self.spans)


class Gaps:
    """What is on record in a database. Safe to use from any thread."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def within(self, since: float, until: float, scope: Scope = EVERYWHERE, limit: int = 500) -> list[Gap]:
        """Gaps that reach into a span, latest first, with the alerts that came late for each.

        The hub's and the broker's are everybody's, those of edges go with their site.
        """
        found = self._gaps(since, until, scope, limit)
        return _with_late(found, self._late(_first_made(found), until, scope)) if found else []

    def with_late(
        self, since: float, late_since: float, until: float, scope: Scope = EVERYWHERE
    ) -> tuple[list[Gap], Counter[EdgeId]]:
        """What `within` tells from `since` on; of each edge, how many alerts made from `late_since` on came late."""
        found = self._gaps(since, until, scope)
        late = self._late(min(late_since, _first_made(found)), until, scope)
        of_edges: Counter[EdgeId] = Counter()
        for one in late:
            of_edges[one.site, one.edge] += one.n if one.at >= late_since else 0
        return _with_late(found, late), of_edges

    def _gaps(self, since: float, until: float, scope: Scope, limit: int = 500) -> list[Gap]:
        c = gaps.c
        query = select(gaps).where(c.began_at < until, or_(c.ended_at.is_(None), c.ended_at > since))
        # Where there are too many, those that last are told, then those that ended last.
        query = query.order_by(c.ended_at.is_(None).desc(), c.ended_at.desc(), c.number.desc())
        # Those of others must not push one's own out.
        rows = self._database.read(query.limit(None if scope.places else limit))
        found = [Gap(**row._mapping) for row in rows]
        found = [gap for gap in found if not gap.site or scope.sees(gap.site, gap.camera or None)][:limit]
        return sorted(found, key=lambda gap: (gap.began_at, gap.number), reverse=True)

    def notes(self, since: float, until: float, scope: Scope = EVERYWHERE) -> list[Gap]:
        """Gaps worth a line in the feed: those that lasted a minute, or last now, or for which alerts came late."""
        now = self._clock.now()
        return [
            gap
            for gap in self.within(since, until, scope)
            if gap.late or gap.lasted_s(now) >= NOTED_S or gap.ended_at is None
        ]

    def _late(self, since: float, until: float, scope: Scope) -> list[Late]:
        """Alerts made in a span that came more than a minute after, by the hub's clock, in order of time.

        An outage may hold tens of thousands: the database counts them by the minute.
        """
        offset = func.coalesce(edges.c.clock_offset_s, 0.0)
        sent_at = alerts.c.sent_at - offset
        minute = func.round(sent_at / MINUTE_S).label("minute")
        query = (
            select(alerts.c.site, alerts.c.edge, minute, func.count())
            .outerjoin(edges, (edges.c.site == alerts.c.site) & (edges.c.edge == alerts.c.edge))
            .where(LATE, alerts.c.received_at - sent_at > LATE_S, sent_at >= since, sent_at < until)
            .where(alerts.c.sent_at >= since - 3600, alerts.c.sent_at < until + 3600)  # clocks may be that far off
            .group_by(alerts.c.site, alerts.c.edge, "minute")
            .order_by("minute")
        )
        if scope.places is not None:
            query = query.join(incidents, incidents.c.id == alerts.c.incident)
            query = query.where(*scope.clauses(incidents.c.site, incidents.c.camera))
        return [Late(site, edge, MINUTE_S * at, n) for site, edge, at, n in self._database.read(query)]

    def came_late(self, ids: Sequence[str]) -> dict[str, float]:
        """Which of these incidents were first heard of long after they were told, and when, by the hub's clock."""
        if not ids:
            return {}
        offset = func.coalesce(edges.c.clock_offset_s, 0.0)
        first = func.min(alerts.c.received_at)
        query = (
            select(alerts.c.incident, first)
            .outerjoin(edges, (edges.c.site == alerts.c.site) & (edges.c.edge == alerts.c.edge))
            .where(alerts.c.incident.in_(ids))
            .group_by(alerts.c.incident)
            .having(first - func.min(alerts.c.sent_at - offset) > LATE_CARD_S)
        )
        return {row[0]: row[1] for row in self._database.read(query)}

    def unheard(self, site: str, edge: str, since: float) -> Unheard:
        """When a box could not be heard, whoever's fault that was; before it was let in, too.

        Args:
            site: Of the box.
            edge: Its name.
            since: Spans that ended before are left out, Unix seconds.
        """
        c, k = gaps.c, edge_keys.c
        own = (c.what == "edge") & (c.site == site) & (c.edge == edge)
        query = select(c.began_at, func.coalesce(c.ended_at, self._clock.now()))
        query = query.where(own | c.what.in_(("hub", "broker")), or_(c.ended_at.is_(None), c.ended_at >= since))
        let_in = select(func.min(k.since)).where(k.site == site, k.edge == edge, k.state != "revoked")
        with self._database.reading() as connection:
            spans = [(began, ended) for began, ended in connection.execute(query)]
            joined_at = connection.execute(let_in).scalar_one()
        before = [(0.0, joined_at)] if joined_at is not None else []
        return Unheard((*before, *spans))

    def since(self) -> dict[tuple[str, str, str], float]:
        """From when on each place (site, edge, camera) has been watched; the hub is `("", "", "")`."""
        with self._database.reading() as connection:
            rows = connection.execute(select(watched.c.site, watched.c.edge, watched.c.camera, watched.c.since))
            return {(row.site, row.edge, row.camera): row.since for row in rows}

    def refused_by(self) -> dict[EdgeId, int]:
        """How many kinds of refused messages are on record for each edge (site, edge), of the last thousand."""
        counts: defaultdict[EdgeId, int] = defaultdict(int)
        with self._database.reading() as connection:
            for topic in connection.execute(select(refusals.c.topic)).scalars():
                try:
                    counts[wire.topic_owner(topic)] += 1
                except WireError:
                    continue
        return counts


def _first_made(found: list[Gap]) -> float:
    """From when on late alerts count for one of these gaps."""
    return min((gap.began_at for gap in found), default=inf) - LATE_S


def _with_late(found: list[Gap], late: list[Late]) -> list[Gap]:
    """Gaps with how many of these alerts came late for each."""
    made: defaultdict[EdgeId, list[Late]] = defaultdict(list)  # by each edge, and by all under ("", "")
    for one in late:
        made[one.site, one.edge].append(one)
        made["", ""].append(one)
    return [replace(gap, late=_late_in(made[gap.site, gap.edge], gap)) for gap in found]


def _late_in(made: list[Late], gap: Gap) -> int:
    """How many of the late alerts, in order, were made in a gap or just before it."""
    if gap.what == "camera":  # no alert waits for a camera
        return 0
    first = bisect_left(made, gap.began_at - LATE_S, key=_at)
    last = bisect_right(made, inf if gap.ended_at is None else gap.ended_at, key=_at)
    return sum(one.n for one in made[first:last])


def _at(late: Late) -> float:
    return late.at
