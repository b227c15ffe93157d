"""How much of what happened where and when: counts out of the incidents, without the incidents themselves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, case, func, select

from detector.hub.storage.budget import DOUBLE
from detector.hub.storage.database import Database
from detector.hub.storage.doubles import LONGEST_S
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import incidents, places
from detector.hub.storage.stored import CLEARED, StoredIncident
from detector.hub.storage.wanted import Wanted, were_exposed, within
from detector.values import MEANWHILE_S

FEW = 5


@dataclass(frozen=True, slots=True)
class Found:
    """How many incidents there are of a sort, and the labels they exposed; those of cleared ones and notes left out."""

    count: int
    labels_low: int
    labels_high: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where something was told of before; an empty zone is none."""

    site: str
    camera: str
    zone: str
    title: str


@dataclass(frozen=True, slots=True)
class Happened:
    """One incident on a page that shows very many."""

    at: float
    site: str
    camera: str
    severity: str


@dataclass(frozen=True, slots=True)
class Begun:
    """When one incident of a place began, how bad it is, and the labels it exposed; a note's don't count."""

    id: str
    at: float
    severity: str
    labels_low: int
    labels_high: int


class Overview:
    """Counts what the `Database` holds. Safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def found(self, wanted: Wanted) -> Found:
        """Of all incidents that are wanted."""
        query = select(*_counts()).where(*wanted.clauses())
        return Found(*(int(number) for number in self._database.read(query).one()))

    def places(self, scope: Scope = EVERYWHERE) -> list[Place]:
        """Every place that anything was ever told of."""
        query = select(places).where(*scope.clauses(places.c.site, places.c.camera))
        return [Place(**row._mapping) for row in self._database.read(query.order_by(*places.primary_key))]

    def has_replayed(self, scope: Scope = EVERYWHERE) -> bool:
        """Whether a replay ever brought anything."""
        c = incidents.c
        query = select(c.id).where(c.replayed_at.is_not(None), c.told != DOUBLE, *within(scope))
        return self._database.read(query.limit(1)).first() is not None

    def happened(self, wanted: Wanted) -> list[Happened]:
        """What is wanted, oldest first; cleared incidents left out."""
        c = incidents.c
        query = select(c.started_at.label("at"), c.site, c.camera, c.severity).where(*wanted.clauses(), _stands())
        return [Happened(*row) for row in self._database.read(query.order_by(c.started_at, c.id))]

    def like(self, incident: StoredIncident, since: float, until: float, scope: Scope = EVERYWHERE) -> list[Begun]:
        """Incidents of the same kind at the same place that began then (Unix seconds); cleared ones left out."""
        c = incidents.c
        wanted = Wanted(since=since, until=until, scope=scope, zone=incident.zone or "", kind=incident.kind)
        here = (c.site == incident.site, c.camera == incident.camera)  # found by the index that begins with these
        labels = [case((were_exposed(), column), else_=0) for column in (c.labels_low, c.labels_high)]
        query = select(c.id, c.started_at, c.severity, *labels)
        return [Begun(*row) for row in self._database.read(query.where(*here, *wanted.clauses(), _stands()))]

    def elsewhere(self, incident: StoredIncident, scope: Scope = EVERYWHERE) -> list[str]:
        """Incidents of the site's other cameras that went on within `MEANWHILE_S` of one.

        At most `FEW`, those that began nearest to it first; cleared ones, and what began `LONGEST_S` before, left out.
        """
        c = incidents.c
        begins, ends = incident.started_at - MEANWHILE_S, incident.ended_at + MEANWHILE_S
        wanted = Wanted(since=begins - LONGEST_S, until=ends, scope=scope, site=incident.site)
        there = (func.coalesce(c.camera, "") != incident.camera, c.ended_at >= begins, _stands())
        nearest = (func.abs(c.started_at - incident.started_at), c.id)
        query = select(c.id).where(*wanted.clauses(), *there).order_by(*nearest).limit(FEW)
        return list(self._database.read(query).scalars())

    def by_kind(self, spans: Sequence[tuple[float, float]], wanted: Wanted) -> list[dict[str, Found]]:
        """For each span of time, what is wanted by its kind; cleared incidents left out."""
        kind = incidents.c.kind
        told: list[dict[str, Found]] = []
        with self._database.reading() as connection:
            for since, until in spans:
                of_span = replace(wanted, since=since, until=until).clauses()
                rows = connection.execute(select(kind, *_counts()).where(*of_span, _stands()).group_by(kind))
                told.append({row[0]: Found(*(int(number) for number in row[1:])) for row in rows})
        return told


def _stands() -> ColumnElement[bool]:
    return incidents.c.verdict.is_(None) | incidents.c.verdict.not_in(CLEARED)


def _counts() -> list[ColumnElement[Any]]:
    labels = (incidents.c.labels_low, incidents.c.labels_high)
    return [
        func.count(),
        *(func.coalesce(func.sum(column).filter(_stands(), were_exposed()), 0) for column in labels),
    ]
