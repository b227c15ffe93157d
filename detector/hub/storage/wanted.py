"""Which incidents are asked for."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, case, exists, func, not_, or_, select

from detector.hub.storage.budget import DOUBLE
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import also_in, incidents
from detector.values import Severity


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which incidents are asked for: all that match what is given.

    Times are Unix seconds, `until` excluded; an incident is in every `zone` where some of it was done. An empty `zone`
    stands for those in none, an empty `verdict` for those that nobody has judged. `replayed` asks for those that a
    replay brought, or for the others; doubles are left out unless `doubles` are wanted too. Who doesn't see the camera
    of what is shown in a double's stead (`spots`) is shown the double, in the lane of the other.
    """

    told: str | None = None
    since: float | None = None
    until: float | None = None
    kind: str | None = None
    camera: str | None = None
    zone: str | None = None
    scope: Scope = EVERYWHERE
    site: str | None = None
    severity: str | None = None
    verdict: str | None = None
    replayed: bool | None = None
    doubles: bool = False
    edge: str | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """Its conditions on `incidents`."""
        c = incidents.c
        same = [
            (c.kind, self.kind), (c.severity, self.severity), (c.verdict, self.verdict), (c.site, self.site),
            (c.edge, self.edge), (c.camera, self.camera),
        ]  # fmt: skip
        # Through a function, which keeps SQLite to the index by time: that holds all of these, and the few rows that
        # are shown are at its end. It would rather take another that holds one of them, and then read row after row.
        clauses: list[ColumnElement[bool]] = [
            func.coalesce(column, "") == value for column, value in same if value is not None
        ]
        if self.zone is not None:
            clauses.append(was_in(self.zone))
        if self.told is not None or not self.doubles:
            told = func.coalesce(c.told, "")
            clauses.append(or_(told == self.told if self.told is not None else told != DOUBLE, *self._unseen()))
        if self.replayed is not None:
            clauses.append((func.coalesce(c.replayed_at, 0.0) > 0.0) == self.replayed)
        if self.since is not None:
            clauses.append(c.started_at >= self.since)
        if self.until is not None:
            clauses.append(c.started_at < self.until)
        return [*clauses, *within(self.scope)]

    def _unseen(self) -> list[ColumnElement[bool]]:
        """That an incident is the double of one which the scope leaves out, in the lane that is wanted."""
        if not self.scope.limits_cameras:
            return []
        shown = incidents.alias()
        lane = [shown.c.told == self.told] if self.told is not None else []
        outside = not_(and_(*self.scope.clauses(shown.c.site, shown.c.camera)))
        there = exists().where(shown.c.id == incidents.c.same_as, outside, *lane)
        return [and_(func.coalesce(incidents.c.told, "") == DOUBLE, there)]


def lane(scope: Scope) -> ColumnElement[str]:
    """The lane that an incident is in for a scope: a double's, where it is shown, is that of the other."""
    if not scope.limits_cameras:
        return incidents.c.told
    shown = incidents.alias()
    of_other = select(shown.c.told).where(shown.c.id == incidents.c.same_as).scalar_subquery()
    return case((incidents.c.told == DOUBLE, of_other), else_=incidents.c.told)


def was_in(zone: str) -> ColumnElement[bool]:
    """That some of an incident was done in a zone; of an empty one, that it is in none."""
    is_its_own = func.coalesce(incidents.c.zone, "") == zone
    # Asked of each that is looked at: PostgreSQL would read a list of them again and again once it outgrows its memory.
    was_there = exists().where(also_in.c.incident == incidents.c.id, also_in.c.zone == zone)
    return is_its_own | was_there if zone else is_its_own


def within(scope: Scope) -> list[ColumnElement[bool]]:
    """The conditions of a scope on `incidents`, through a function as well: what somebody sees may be most of them."""
    return scope.clauses(func.coalesce(incidents.c.site, ""), func.coalesce(incidents.c.camera, ""))


def were_exposed() -> ColumnElement[bool]:
    """That the labels an incident tells of were exposed: as long as it is in doubt (`StoredIncident.in_doubt`) nobody
    can say so."""
    is_sure = and_(incidents.c.severity != Severity.INFO.value, ~incidents.c.unsure)
    return or_(is_sure, func.coalesce(incidents.c.verdict, "") == "true")


EVERYTHING = Wanted()
ANY = Wanted(doubles=True)
