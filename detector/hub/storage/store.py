"""The hub's memory: incidents with their clips, and beside them what edges said and people judged.

A method that writes has committed when it returns. All are safe to call from any thread.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    exists,
    func,
    literal,
    select,
    true,
    tuple_,
    union_all,
)

from detector.clock import QUARTER_S
from detector.hub.storage.arrivals import refusal_row
from detector.hub.storage.budget import ALERT, DIGEST, Budget
from detector.hub.storage.changes import note_changes
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.edges import Edges
from detector.hub.storage.intake import Intake
from detector.hub.storage.lanes import alerts_in
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import (
    alerts,
    also_in,
    changes,
    clips,
    incidents,
    refusals,
    retention,
    snapshots,
    walk_tests,
)
from detector.hub.storage.segments import Segments
from detector.hub.storage.stored import CLEARED, Clip, Digested, Refusal, StoredIncident, Totals
from detector.hub.storage.verdicts import Verdicts
from detector.hub.storage.wanted import ANY, EVERYTHING, Wanted, lane, were_exposed, within
from detector.values import NOTHING

KEPT_REFUSALS = 1_000
_SHOWN = incidents.alias()  # what is shown in a double's stead


class Store:
    """What edges told and what people made of it, in the `Database` at a SQLAlchemy URL.

    Args:
        url: Of the database.
        budget: How many alerts a shift takes, for what comes in; without one, as many as come.
        upgrade: As of `Database`.

    Attributes:
        database: Where all is.
        intake: Takes alerts in.
        edges: Edges as the hub heard of them.
        verdicts: What people judged.

    Raises:
        StoreError: It can't be opened, or its shape can't be brought up to date, or must not.
    """

    def __init__(self, url: str, budget: Budget | None = None, *, upgrade: bool = True) -> None:
        self.database = Database(url, upgrade=upgrade)
        self.intake = Intake(self.database, budget or Budget())
        self._reading, self._writing = self.database.reading, self.database.writing
        self.edges = Edges(self.database)
        self.verdicts = Verdicts(self.database)
        self._segments = Segments(self.database, clips)

    def close(self) -> None:
        """Release connections."""
        self.database.close()

    # Messages in

    def add_alerts(
        self,
        fields_list: Sequence[Mapping[str, Any]],
        received_at: float,
        bringers: Mapping[str, tuple[str, str]] = NOTHING,
    ) -> list[str]:
        """As `Intake.add_alerts`."""
        return self.intake.add_alerts(fields_list, received_at, bringers)

    def add_refusal(self, topic: str, reason: str, at: float) -> None:
        """Put on record that a message was not believed; the last thousand are kept."""
        with self._writing() as connection:
            number = connection.execute(
                refusals.insert().returning(refusals.c.number), refusal_row(topic, reason, at)
            ).scalar_one()
            connection.execute(delete(refusals).where(refusals.c.number <= number - KEPT_REFUSALS))

    def refused(self) -> tuple[int, list[Refusal]]:
        """How many messages were ever refused, and the last twenty."""
        query = select(refusals).order_by(refusals.c.number.desc()).limit(20)
        rows = self.database.read(query).all()
        return (rows[0].number if rows else 0), [Refusal(row.topic, row.reason, row.at) for row in rows]

    # Incidents out

    def feed(
        self,
        before: tuple[float, str] | None = None,
        limit: int = 20,
        *,
        wanted: Wanted = EVERYTHING,
        down_to: tuple[float, str] | None = None,
    ) -> list[StoredIncident]:
        """Incidents from newest to oldest, those after the place `before` in that order, and none after `down_to`."""
        place = tuple_(incidents.c.started_at, incidents.c.id)
        newest_first = (incidents.c.started_at.desc(), incidents.c.id.desc())
        # Found in an index that holds all that is asked for, whose rows alone are then read.
        found = select(incidents.c.id).where(*wanted.clauses()).order_by(*newest_first).limit(limit)
        if before:
            found = found.where(place < tuple_(*before))
        if down_to:
            found = found.where(place >= tuple_(*down_to))
        return self._read(_incidents().where(incidents.c.id.in_(found)).order_by(*newest_first))

    def newer(self, after: tuple[float, str], *, wanted: Wanted = EVERYTHING) -> StoredIncident | None:
        """The next newer incident; `None` when there is none."""
        query = _incidents().where(*wanted.clauses(), tuple_(incidents.c.started_at, incidents.c.id) > tuple_(*after))
        return next(iter(self._read(query.order_by(incidents.c.started_at, incidents.c.id).limit(1))), None)

    def incidents(self, ids: Sequence[str], *, wanted: Wanted = ANY) -> list[StoredIncident]:
        """Those of these incidents that are known and wanted, newest first."""
        order = (incidents.c.started_at.desc(), incidents.c.id.desc())
        query = _incidents().where(incidents.c.id.in_(ids), *wanted.clauses())
        return self._read(query.order_by(*order)) if ids else []

    def incident(self, incident: str, scope: Scope = EVERYWHERE) -> StoredIncident | None:
        """One incident, for a double the one that is shown, if that is in somebody's scope; `None` where it is not."""
        wanted = Wanted(scope=scope, doubles=True)
        found = next(iter(self.incidents([incident], wanted=wanted)), None)
        if found is not None and found.same_as is not None:
            return next(iter(self.incidents([found.same_as], wanted=wanted)), found)
        return found

    def doubles(self, incident: str) -> list[StoredIncident]:
        """Incidents that this one tells already, in the order that replays brought them, or they began."""
        query = _incidents().where(incidents.c.same_as == incident)
        return self._read(query.order_by(incidents.c.replayed_at, incidents.c.started_at, incidents.c.id))

    def confirmed_by(self, incident: str) -> list[StoredIncident]:
        """What replays found of its camera that this incident tells already, in the order it came."""
        query = _incidents().where(incidents.c.same_as == incident, _found_again())
        return self._read(query.order_by(incidents.c.replayed_at, incidents.c.id))

    def seen_by(self, incident: str, scope: Scope = EVERYWHERE) -> list[StoredIncident]:
        """What else cameras of its spot told of it that are in somebody's scope, in the order it began (`spots`)."""
        query = _incidents().where(incidents.c.same_as == incident, ~_found_again(), *within(scope))
        return self._read(query.order_by(incidents.c.started_at, incidents.c.id))

    def confirmed(self, ids: Sequence[str]) -> set[str]:
        """Those of these incidents that a replay found again."""
        query = select(incidents.c.same_as).where(incidents.c.same_as.in_(ids), _found_again()).distinct()
        return set(self.database.read(query).scalars()) if ids else set()

    def seen_twice(self, ids: Sequence[str]) -> set[str]:
        """Those of these incidents that another camera told of, too."""
        query = select(incidents.c.same_as).where(incidents.c.same_as.in_(ids), ~_found_again()).distinct()
        return set(self.database.read(query).scalars()) if ids else set()

    def _read(self, query: Select[Any]) -> list[StoredIncident]:
        with self._reading() as connection:
            return _read(connection, query)

    def totals(self, start: float, end: float, scope: Scope = EVERYWHERE) -> Totals:
        """What happened from `start` to before `end`."""
        query = select(
            func.count().filter(lane(scope) == ALERT),
            func.count().filter(lane(scope) == DIGEST),
            func.coalesce(func.sum(incidents.c.labels_low).filter(were_exposed()), 0),
            func.coalesce(func.sum(incidents.c.labels_high).filter(were_exposed()), 0),
        ).where(*_counted(start, end, scope))
        return Totals(*(int(number) for number in self.database.read(query).one()))

    def by_hour(
        self, start: float, end: float, hour_of: Callable[[float], str], scope: Scope = EVERYWHERE
    ) -> dict[str, dict[str, int]]:
        """Alerts from `start` to before `end`, counted by the hour of each and severity."""
        # By quarters, within which no hour begins on any clock: a day may have thousands of alerts.
        quarter, severity = func.floor(incidents.c.started_at / QUARTER_S), incidents.c.severity
        query = select(quarter, severity, func.count()).where(*_counted(start, end, scope), lane(scope) == ALERT)
        counts: dict[str, dict[str, int]] = {}
        for number, how, n in self.database.read(query.group_by(quarter, severity)):
            hour = counts.setdefault(hour_of(QUARTER_S * number), {})
            hour[how] = hour.get(how, 0) + n
        return counts

    def digest(self, start: float, end: float, scope: Scope = EVERYWHERE) -> list[Digested]:
        """What went to the digest from `start` to before `end`, by kind and zone, the most first; cleared ones too."""
        c = incidents.c
        wanted = Wanted(DIGEST, start, end, scope=scope).clauses()
        place = (c.kind, c.site, c.camera)
        own = select(*place, c.zone, literal(1).label("own")).where(*wanted)
        elsewhere = also_in.c.zone != func.coalesce(c.zone, "")
        others = select(*place, also_in.c.zone, literal(0)).join_from(incidents, also_in).where(*wanted, elsewhere)
        both = union_all(own, others).subquery().c
        count, by = func.count(), (both.kind, both.site, both.camera, both.zone)
        query = select(*by, count.label("count"), func.sum(both.own).label("own")).group_by(*by)
        query = query.order_by(count.desc(), *by)
        return [Digested(**row._mapping) for row in self.database.read(query)]

    def alerts_in(self, shift: str) -> int:
        """How many alerts a shift has had (`Budget.shift` names it)."""
        with self._reading() as connection:
            return alerts_in(connection, shift)

    def snapshot(self, incident: str) -> bytes | None:
        """The newest picture of an incident, JPEG."""
        query = select(snapshots.c.jpeg).join(incidents, incidents.c.snapshot == snapshots.c.alert)
        return self.database.read(query.where(incidents.c.id == incident)).scalar_one_or_none()

    def envelopes(self, incident: str) -> list[dict[str, Any]]:
        """All envelopes of an incident in the order they were made, whole, so that signatures can be checked again."""
        query = (
            select(alerts.c.envelope, snapshots.c.jpeg)
            .outerjoin(snapshots, snapshots.c.alert == alerts.c.number)
            .where(alerts.c.incident == incident)
            .order_by(alerts.c.sent_at, alerts.c.seq)
        )
        rows = self.database.read(query).all()
        return [
            {**envelope, "snapshot": base64.b64encode(jpeg).decode()} if jpeg is not None else envelope
            for envelope, jpeg in rows
        ]

    # Changes

    def last_change(self) -> int:
        """Number of the latest change; 0 when nothing has happened yet."""
        return self.database.read(select(func.max(changes.c.number))).scalar_one() or 0

    def changed_since(
        self, number: int, limit: int = 200, *, scope: Scope = EVERYWHERE
    ) -> tuple[list[tuple[int, str]], bool]:
        """Incidents that changed after change `number`: each once, as (its latest change, id), in order.

        Returns:
            The changes, and whether they are all: `False` when there were more, or when `number` was never reached (a
            page of another database).
        """
        query = select(changes.c.number, changes.c.incident).where(changes.c.number > number)
        if scope.places is not None:
            query = query.join(incidents, incidents.c.id == changes.c.incident).where(*within(scope))
        with self._reading() as connection:
            newest = connection.execute(select(func.coalesce(func.max(changes.c.number), 0))).scalar_one()
            rows = connection.execute(query.order_by(changes.c.number).limit(limit + 1))
            found = [(row.number, row.incident) for row in rows]
        return found[:limit], len(found) <= limit and number <= newest

    def last_change_within(self, within: Wanted) -> int:
        """Number of the latest change of these incidents; 0 when there is none."""
        return self.database.read(_followed(within).with_only_columns(func.max(changes.c.number))).scalar_one() or 0

    def followed(
        self, number: int | None, limit: int, *, within: Wanted, wanted: Wanted
    ) -> list[tuple[int, bool, StoredIncident]]:
        """Incidents that changed after change `number` (without one, all), each once, in the order of their changes.

        Args:
            number: The last change that is known.
            limit: How many at most.
            within: Which are looked at, by what never changes of an incident.
            wanted: Which of them are wanted as they stand.

        Returns:
            Of each its latest change, whether it is wanted, and the incident.
        """
        is_wanted = and_(true(), *wanted.clauses()).label("is_wanted")
        query = _followed(within).add_columns(changes.c.number, is_wanted).order_by(changes.c.number).limit(limit)
        if number is not None:
            query = query.where(changes.c.number > number)
        rows = [dict(row._mapping) for row in self.database.read(query)]
        return [(row.pop("number"), bool(row.pop("is_wanted")), StoredIncident(**row)) for row in rows]

    # Clips

    def add_clip(self, clip: Clip) -> bool:
        """Put on record a segment that has arrived; one that is on record already stays.

        Returns:
            Whether it is new.
        """
        with self._writing() as connection:
            one_at_a_time(connection)
            new = self._segments.add(clip)
            is_film = select(walk_tests.c.number).where(walk_tests.c.film == clip.incident)
            if new and connection.execute(is_film).first() is None:  # of a walk test not everybody is to know
                note_changes(connection, [clip.incident])
            return new

    def clip(self, incident: str, segment: int) -> Clip | None:
        """One segment; none for what can't be an incident's id or a segment's number either."""
        return self._segments.find(incident, segment)

    def clips(self, *incidents: str) -> list[Clip]:
        """Segments of incidents, of each in order."""
        return self._segments.of(*incidents)

    def film(self, name: str, site: str, edge: str, camera: str) -> list[Clip]:
        """Segments of a film in order, as the box that was asked for it brought them; none that another did."""
        return [one for one in self.clips(name) if (one.site, one.edge, one.camera) == (site, edge, camera)]

    def clips_shown(self, incident: str) -> list[Clip]:
        """Segments that show an incident: its own, or where it has none those of a replay that found it again."""
        doubles = self.confirmed_by(incident) if not (own := self.clips(incident)) else []
        return own or next((found for one in doubles if (found := self.clips(one.id))), [])

    def with_clips(self, ids: Sequence[str]) -> set[str]:
        """Those of these incidents that have a clip here, be it of a replay that found them again."""
        query = select(clips.c.incident).where(clips.c.incident.in_(ids)).distinct()
        again = select(incidents.c.same_as).join(clips, clips.c.incident == incidents.c.id)
        again = again.where(incidents.c.same_as.in_(ids), _found_again()).distinct()
        with self._reading() as connection:
            return {*connection.execute(query).scalars(), *connection.execute(again).scalars()}

    def without_footage(self, ids: Sequence[str]) -> set[str]:
        """Those of these incidents whose footage was deleted."""
        query = select(retention.c.incident).where(retention.c.incident.in_(ids), retention.c.deleted_at.is_not(None))
        return set(self.database.read(query).scalars())


def read_incidents(connection: Connection, ids: Sequence[str]) -> list[StoredIncident]:
    """Those of these incidents that are known, newest first."""
    query = _incidents().where(incidents.c.id.in_(ids))
    return _read(connection, query.order_by(incidents.c.started_at.desc(), incidents.c.id.desc())) if ids else []


def _read(connection: Connection, query: Select[Any]) -> list[StoredIncident]:
    return [StoredIncident(*row) for row in connection.execute(query)]


def _incidents() -> Select[Any]:
    return select(*(incidents.c[name] for name in StoredIncident.__slots__))


def _followed(within: Wanted) -> Select[Any]:
    query = _incidents().join_from(incidents, changes, changes.c.incident == incidents.c.id)
    return query.where(*within.clauses())


def _found_again() -> ColumnElement[bool]:
    """Whether a replay found a double, of the camera of what is shown in its stead; the others are what `spots` joined.

    Among these are some of its own camera, where that told of the event twice, and another camera once for both.
    """
    same_camera = exists().where(_SHOWN.c.id == incidents.c.same_as, _SHOWN.c.camera == incidents.c.camera)
    return and_(incidents.c.replayed_at.is_not(None), same_camera)


def _counted(start: float, end: float, scope: Scope) -> list[ColumnElement[bool]]:
    cleared = incidents.c.verdict.in_(CLEARED)
    return [*Wanted(since=start, until=end, scope=scope).clauses(), incidents.c.verdict.is_(None) | ~cleared]
