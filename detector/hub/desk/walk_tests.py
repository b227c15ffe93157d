"""Walk tests: somebody photographs labels in front of a camera and says when; what the hub heard of it is the result.

A test holds nothing back: alerts, notices and the review desk go on as ever, so that nobody can hide behind one. What
it found only ever gets better, until `SETTLE_S` after its end; what retention deletes later doesn't change it.

    alert       the camera's incident is an alert (of a spot: it, or what another camera told of the same)
    digest      there is one, but it waits in the digest
    none        the hub heard of none, although it heard of the camera
    joined      an alert of before went on: what the test added to it can't be told
    unwatched   it didn't hear of the camera during some of the test: says nothing of how well it sees
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, or_, select, update

from detector import wire
from detector.findings import kinds_of
from detector.hub.access.audit import Audit
from detector.hub.storage.arrivals import AHEAD_S
from detector.hub.storage.budget import ALERT, DIGEST, DOUBLE
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.schema import alerts, edges, gaps, incidents, walk_tests
from detector.hub.storage.tuning import upper_bound
from detector.values import DAY_S, IncidentKind

NONE, JOINED, UNWATCHED = "none", "joined", "unwatched"
WAITING = "waiting"
BETTER = (UNWATCHED, JOINED, NONE, DIGEST, ALERT)  # each than those before
LONGEST_S = wire.LONGEST_FILM_S  # one that nobody ended by then doesn't count
SETTLE_S = 600.0  # as long as an alert may take through a weak link
REST_S = 240.0  # what follows sooner may be told as the same incident (`incidents.join_s`)
SLACK_S = 5.0  # of clocks, whose offset is known as far as reports tell it
MOST_PARCELS = 200
SHOWN = 50
SURE = 0.975  # each side of an interval of 95 %


@dataclass(frozen=True, slots=True)
class WalkTest:
    """Somebody photographed labels of `parcels` parcels between two Unix times; see the module for `found`.

    While it goes on `ended_at` is `None`. `incident` is the one found, first heard of `after_s` seconds after the test
    began; `looked_at` is when that was last looked for. `film` names what the camera's box films meanwhile.
    """

    number: int
    site: str
    edge: str
    camera: str
    user: str
    began_at: float
    ended_at: float | None
    parcels: int
    found: str
    incident: str | None
    after_s: float | None
    looked_at: float
    film: str | None

    @property
    def is_settled(self) -> bool:
        """Whether its result stays as it is."""
        return self.ended_at is not None and (self.found == ALERT or self.looked_at >= self.ended_at + SETTLE_S)

    @property
    def word(self) -> str:
        """What is said of it: what was found, or `waiting` where nothing was yet, and still may be."""
        return WAITING if not self.is_settled and self.found in (NONE, UNWATCHED) else self.found


@dataclass(frozen=True, slots=True)
class Tally:
    """Of `tests` that say something `alerts` came as an alert; a share of `low` to `high` (95 %, Clopper-Pearson)."""

    tests: int
    alerts: int
    low: float
    high: float


class WalkTests:
    """Walk tests in a database. Safe to use from any thread."""

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._audit = audit

    def begin(self, site: str, edge: str, camera: str, user: str, now: float) -> str | None:
        """Begin one, unless one goes on or the last has not rested (`next_at`). One left open for too long goes.

        Returns:
            The name that its film is to have; `None` where none began.
        """
        left = (*_at(site, edge, camera), walk_tests.c.ended_at.is_(None), walk_tests.c.began_at < now - LONGEST_S)
        with self._database.writing() as connection:
            one_at_a_time(connection)
            connection.execute(delete(walk_tests).where(*left))
            if _going_on(connection, site, edge, camera, now) or _rested_at(connection, site, edge, camera) > now:
                return None
            film = f"walk-{secrets.token_hex(8)}"
            row = {"site": site, "edge": edge, "camera": camera, "user": user, "began_at": now, "film": film}
            connection.execute(walk_tests.insert(), {**row, "parcels": 0, "found": UNWATCHED, "looked_at": now})
            self._audit.add(connection, now, user, "walk_test_begun", f"{site}/{camera}")
            return film

    def end(
        self, site: str, edge: str, camera: str, user: str, now: float, parcels: int, number: int | None = None
    ) -> str | None:
        """End the one that goes on, if any, after so many parcels; with none photographed it is taken back.

        With a `number` it is ended only if it is that one.

        Returns:
            The name of its film.
        """
        with self._database.writing() as connection:
            one_at_a_time(connection)
            test = _going_on(connection, site, edge, camera, now)
            if test is None or number not in (None, test.number):
                return None
            own = walk_tests.c.number == test.number
            if parcels:
                values = {"ended_at": now, "parcels": parcels, "found": NONE}
                connection.execute(update(walk_tests).where(own).values(values))
            else:
                connection.execute(delete(walk_tests).where(own))
            action = "walk_test_ended" if parcels else "walk_test_taken_back"
            self._audit.add(connection, now, user, action, f"{site}/{camera}", parcels=parcels)
            return test.film

    def going_on(self, site: str, edge: str, camera: str, now: float) -> WalkTest | None:
        """The one that goes on at a camera."""
        with self._database.reading() as connection:
            return _going_on(connection, site, edge, camera, now)

    def next_at(self, site: str, edge: str, camera: str) -> float:
        """From when on another may begin at a camera, once none goes on."""
        with self._database.reading() as connection:
            return _rested_at(connection, site, edge, camera)

    def of(self, site: str, edge: str, camera: str, now: float) -> list[WalkTest]:
        """Those of a camera that are over, the latest first, after looking for what they found."""
        query = select(walk_tests).where(*_at(site, edge, camera), walk_tests.c.ended_at.is_not(None))
        query = query.order_by(walk_tests.c.began_at.desc()).limit(SHOWN)
        tests = [_test(row) for row in self._database.read(query)]
        if all(test.is_settled for test in tests):
            return tests
        with self._database.writing() as connection:
            one_at_a_time(connection)
            for test in map(_test, connection.execute(query)):
                if not test.is_settled:
                    _look(connection, test, now)
            return [_test(row) for row in connection.execute(query)]

    def one(self, site: str, edge: str, camera: str, number: int) -> WalkTest | None:
        """One of a camera that is over."""
        own = (walk_tests.c.number == number, walk_tests.c.ended_at.is_not(None))
        row = self._database.read(select(walk_tests).where(*_at(site, edge, camera), *own)).first()
        return _test(row) if row else None

    def filmed(self, film: str) -> WalkTest | None:
        """The test whose film has this name."""
        row = self._database.read(select(walk_tests).where(walk_tests.c.film == film)).first()
        return _test(row) if row else None

    def during(self, site: str, camera: str, began_at: float, ended_at: float) -> list[WalkTest]:
        """Those that went on at a camera about then, and are over."""
        c = walk_tests.c
        about = (c.began_at <= ended_at + SLACK_S, c.ended_at >= began_at - SLACK_S)
        query = select(walk_tests).where(c.site == site, c.camera == camera, *about)
        return [_test(row) for row in self._database.read(query.order_by(c.began_at))]


def tally(tests: Sequence[WalkTest]) -> Tally:
    """What tests come to; those that weren't watched, or fell into an alert of before, say nothing."""
    telling = [test for test in tests if test.found not in (UNWATCHED, JOINED)]
    n, k = len(telling), sum(test.found == ALERT for test in telling)
    return Tally(n, k, 1.0 - upper_bound(n - k, n, SURE), upper_bound(k, n, SURE))


def _at(site: str, edge: str, camera: str) -> tuple[ColumnElement[bool], ...]:
    c = walk_tests.c
    return c.site == site, c.edge == edge, c.camera == camera


def _test(row: object) -> WalkTest:
    return WalkTest(**row._mapping)  # type: ignore[attr-defined]


def _going_on(connection: Connection, site: str, edge: str, camera: str, now: float) -> WalkTest | None:
    query = select(walk_tests).where(
        *_at(site, edge, camera), walk_tests.c.ended_at.is_(None), walk_tests.c.began_at >= now - LONGEST_S
    )
    row = connection.execute(query).first()
    return _test(row) if row else None


def _rested_at(connection: Connection, site: str, edge: str, camera: str) -> float:
    last = connection.execute(select(func.max(walk_tests.c.ended_at)).where(*_at(site, edge, camera))).scalar_one()
    return float(last) + REST_S if last is not None else 0.0


def _look(connection: Connection, test: WalkTest, now: float) -> None:
    """Put down what is known of a test by now, where that is better than what was."""
    found, incident, after_s = _found(connection, test)
    values: dict[str, object] = {"looked_at": now}
    if BETTER.index(found) > BETTER.index(test.found) or test.found == NONE:
        values |= {"found": found, "incident": incident, "after_s": after_s}
    connection.execute(update(walk_tests).where(walk_tests.c.number == test.number).values(values))


def _found(connection: Connection, test: WalkTest) -> tuple[str, str | None, float | None]:
    """What was found, by which incident, and how long after the test began the hub first heard of that."""
    assert test.ended_at is not None
    here = (edges.c.site == test.site, edges.c.edge == test.edge)
    ahead_s = connection.execute(select(edges.c.clock_offset_s).where(*here)).scalar_one_or_none() or 0.0
    if ahead_s > AHEAD_S:  # what it tells stands where it is by our clock
        ahead_s = 0.0
    c = incidents.c
    began_at, ended_at = test.began_at + ahead_s - SLACK_S, test.ended_at + ahead_s + SLACK_S
    query = select(incidents).where(
        c.site == test.site,
        c.edge == test.edge,
        c.camera == test.camera,
        c.started_at.between(began_at - DAY_S, ended_at),
        c.ended_at >= began_at,
        c.replayed_at.is_(None),
    )
    best: tuple[str, str | None, float | None] = (NONE, None, None)
    goes_on = False
    for row in connection.execute(query.order_by(c.started_at, c.id)).all():
        if IncidentKind.LABEL_PHOTOGRAPHY not in kinds_of(row.record):
            continue
        if row.started_at < began_at:
            goes_on = True
            continue
        told = row.told
        if told == DOUBLE:
            told = connection.execute(select(c.told).where(c.id == row.same_as)).scalar_one_or_none() or DIGEST
        if BETTER.index(told) > BETTER.index(best[0]):
            first = select(func.min(alerts.c.received_at)).where(alerts.c.incident == row.id)
            heard_at = connection.execute(first).scalar_one()
            best = told, row.id, None if heard_at is None else max(0.0, heard_at - test.began_at)
    if best[0] == NONE and _was_away(connection, test):
        return UNWATCHED, None, None
    return (JOINED, None, None) if best[0] == NONE and goes_on else best


def _was_away(connection: Connection, test: WalkTest) -> bool:
    """Whether the hub didn't hear of the camera during some of a test."""
    c = gaps.c
    here = or_(c.site == "", (c.site == test.site) & (c.edge == test.edge) & c.camera.in_(("", test.camera)))
    then = (c.began_at < test.ended_at, or_(c.ended_at.is_(None), c.ended_at > test.began_at))
    return connection.execute(select(c.number).where(here, *then).limit(1)).first() is not None
