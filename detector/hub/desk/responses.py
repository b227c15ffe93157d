"""Who goes to where an alert came from, when they are there, and what they find: steps that are only ever added.

An alert is worth what somebody does about it while it goes on, and the owner wants to know how long that takes: from
the first act to the first who was there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from detector.hub.storage.changes import note_changes
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.schema import incidents, responses
from detector.hub.storage.wanted import Wanted

GOING, THERE, OFF = "going", "there", "off"
STEPS = (GOING, THERE, OFF)  # sets out; is there, and may say what was found; doesn't go after all
FOUND = ("stopped", "police", "gone", "in_order")
FRESH_S = 8 * 3600.0  # so long after its end somebody may still set out: a shift


@dataclass(frozen=True, slots=True)
class Step:
    """What somebody said of their going there; `found` is one of `FOUND`, or empty."""

    number: int
    incident: str
    user: str
    at: float
    step: str
    found: str


@dataclass(frozen=True, slots=True)
class Trip:
    """Somebody's going there, as it stands: `went_at` where they said so, `there_at` once they are there."""

    user: str
    went_at: float | None
    there_at: float | None = None
    found: str = ""


class Responses:
    """Steps in a database. Safe to use from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, incident: str, user: str, step: str, found: str, at: float) -> bool:
        """Write down a step; open pages are told. Tells whether there was anything to write: not what is known."""
        with self._database.writing() as connection:
            one_at_a_time(connection)
            mine = next((trip for trip in trips(_steps(connection, [incident])) if trip.user == user), None)
            if _says_nothing(mine, step, found):
                return False
            note_changes(connection, [incident])
            row = {"incident": incident, "user": user, "at": at, "step": step, "found": found}
            connection.execute(responses.insert(), row)
        return True

    def steps(self, ids: Sequence[str]) -> list[Step]:
        """Of these incidents, the earliest first."""
        with self._database.reading() as connection:
            return _steps(connection, ids)

    def waits(self, wanted: Wanted) -> list[float]:
        """Seconds from the begin of each incident that somebody went to until the first was there, in order."""
        gone_to = incidents.c.id.in_(select(responses.c.incident))
        query = select(incidents.c.id, incidents.c.started_at).where(gone_to, *wanted.clauses())
        began = {row.id: row.started_at for row in self._database.read(query)}
        there = {
            incident: [trip.there_at for trip in standing if trip.there_at is not None]
            for incident, standing in trips_to(self.steps(list(began))).items()
        }
        return sorted(max(min(times) - began[incident], 0.0) for incident, times in there.items() if times)


def trips(steps: Iterable[Step]) -> list[Trip]:
    """How matters stand of one incident's steps: everybody who goes or was there, in the order of setting out."""
    standing: dict[str, Trip] = {}
    for step in steps:
        if step.step == OFF:
            standing.pop(step.user, None)
        elif step.step == GOING:
            standing.setdefault(step.user, Trip(step.user, step.at))
        else:
            trip = standing.get(step.user, Trip(step.user, None))
            there_at = step.at if trip.there_at is None else trip.there_at
            standing[step.user] = replace(trip, there_at=there_at, found=step.found)
    return list(standing.values())


def trips_to(steps: Iterable[Step]) -> dict[str, list[Trip]]:
    """The same of steps of many incidents, by incident."""
    of: dict[str, list[Step]] = defaultdict(list)
    for step in steps:
        of[step.incident].append(step)
    return {incident: trips(these) for incident, these in of.items()}


def _steps(connection: Connection, ids: Sequence[str]) -> list[Step]:
    query = select(responses).where(responses.c.incident.in_(ids)).order_by(responses.c.number)
    return [Step(**row._mapping) for row in connection.execute(query)] if ids else []


def _says_nothing(mine: Trip | None, step: str, found: str) -> bool:
    """Whether a step says what is known already: a network that lost the answer sends it once more."""
    if mine is None:
        return step == OFF
    return step == GOING or (step == THERE and mine.there_at is not None and found == mine.found)
