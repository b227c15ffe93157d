"""What guards work through and write down: the queue of incidents nobody has judged, notes, a camera's record."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, func, select, tuple_

from detector.hub.storage.budget import DOUBLE
from detector.hub.storage.changes import note_changes
from detector.hub.storage.database import Database
from detector.hub.storage.harm import OF_SEVERITY
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import incidents, notes, snapshots, thresholds
from detector.hub.storage.store import read_incidents
from detector.hub.storage.stored import StoredIncident
from detector.hub.storage.wanted import Wanted
from detector.values import DAY_S

# Why a verdict was given, by verdict. What a false alarm was instead is learnt from (`training_set.claim`).
REASONS: dict[str, tuple[str, ...]] = {
    "true": ("labels", "sold", "preparing", "other"),
    "authorised": ("damage", "training", "management", "other"),
    "false": ("scan", "call", "browse", "texting", "reflection", "object", "arrived_so", "other"),
    "unclear": ("far", "hidden", "no_clip", "other"),
}
LONGEST_NOTE = 2000
RECORD_DAYS = 30.0
STILLS = 12
LATEST = 24  # incidents of a camera that are shown one by one
TURN = 10  # incidents that a box has in its turn

Place = tuple[int, int, float, str]  # in the queue: turn, harm, start and id


@dataclass(frozen=True, slots=True)
class Note:
    """Something that somebody wrote to an incident."""

    number: int
    user: str
    at: float
    text: str


@dataclass(frozen=True, slots=True)
class Share:
    """How many of the judged incidents were false alarms."""

    false: int = 0
    judged: int = 0


@dataclass(frozen=True, slots=True)
class Past:
    """One incident among many: when it began, Unix seconds, and what it was judged to be."""

    id: str
    started_at: float
    verdict: str | None


@dataclass(frozen=True, slots=True)
class Record:
    """What became of incidents of one kind at one camera.

    Attributes:
        latest: The newest of them, in order of time.
        share: False alarms of the last `RECORD_DAYS`.
        changed_at: When the least score was last changed, Unix seconds; `None` when it never was.
        before: False alarms of as many days before the change as there have been since, at most `RECORD_DAYS`.
        after: Those since the change.
        unjudged: How many of them nobody has judged.
    """

    latest: tuple[Past, ...]
    share: Share
    changed_at: float | None
    before: Share
    after: Share
    unjudged: int


class Reviews:
    """The review desk's part of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def queue(self, wanted: Wanted, after: Place | None = None, limit: int = 30) -> list[tuple[Place, StoredIncident]]:
        """Incidents without a verdict, each with its place: the gravest first, and of those boxes in turns.

        In its turn a box has the most harmful `TURN` (`harm`) of what is left of it: so one that tells very much, and
        all of it very harmful, doesn't keep a guard from what others tell.

        Args:
            wanted: Which.
            after: Place of the last one that is known already.
            limit: How many at most.
        """
        c = incidents.c
        waits = c.verdict.is_(None)
        of_box = select(c.harm, c.started_at, c.id).where(waits, *wanted.clauses())
        of_box = of_box.where(c.site == bindparam("site"), c.edge == bindparam("edge"))
        if after is not None:
            of_box = of_box.where(c.harm < (after[1] // OF_SEVERITY + 1) * OF_SEVERITY)
        # Before one that is asked for come no more of its box. To put all in order takes 30 milliseconds for 20,000.
        most = limit + (TURN * (after[0] + 1) if after else 0)
        of_box = of_box.order_by(c.harm.desc(), c.started_at.desc(), c.id.desc()).limit(most)
        with self._database.reading() as connection:
            places = [place for box in _boxes(connection) for place in _in_turns(connection.execute(of_box, box))]
            places.sort(key=lambda place: place[1:], reverse=True)
            places.sort(key=_turn)
            if after is not None:
                places = [one for one in places if (_turn(one), after[1:]) > (_turn(after), one[1:])]
            found = {one.id: one for one in read_incidents(connection, [place[3] for place in places[:limit]])}
        return [(place, found[place[3]]) for place in places if place[3] in found]

    def left(self, wanted: Wanted) -> int:
        """How many of those that are wanted nobody has judged."""
        query = select(func.count()).where(incidents.c.verdict.is_(None), *wanted.clauses())
        return self._database.read(query).scalar_one()

    def waiting(self, scope: Scope = EVERYWHERE) -> list[tuple[str, str]]:
        """Cameras, each with every kind of incident that waits for a verdict there."""
        c = incidents.c
        # Of each box, as the index has them: others would be put in order to see which are the same.
        query = select(c.site, c.edge, c.camera, c.kind).distinct()
        found = self._database.read(query.where(c.verdict.is_(None), *Wanted(scope=scope).clauses()))
        return sorted({(row.camera, row.kind) for row in found})

    def alike(self, incident: StoredIncident, limit: int) -> list[StoredIncident]:
        """What nobody has judged of one camera and kind, newest first."""
        c = incidents.c
        query = select(c.id).where(*_alike(incident), c.verdict.is_(None)).order_by(c.started_at.desc(), c.id.desc())
        with self._database.reading() as connection:
            return read_incidents(connection, list(connection.execute(query.limit(limit)).scalars()))

    def alike_left(self, incident: StoredIncident) -> int:
        """How many nobody has judged of one camera and kind."""
        return int(self._database.read(_waiting_like(incident)).scalar_one())

    def add_note(self, incident: str, user: str, text: str, at: float) -> None:
        """Write something to an incident; open pages are told."""
        row = {"incident": incident, "user": user, "text": text, "at": at}
        with self._database.writing() as connection:
            note_changes(connection, [incident])
            connection.execute(notes.insert(), row)

    def notes(self, incident: str) -> list[Note]:
        """What was written to an incident, latest first."""
        query = select(notes.c.number, notes.c.user, notes.c.at, notes.c.text).where(notes.c.incident == incident)
        return [Note(**row._mapping) for row in self._database.read(query.order_by(notes.c.number.desc()))]

    def stills(self, incident: str) -> list[tuple[int, float]]:
        """Number and time of pictures from all of an incident, in order of time; labels are blurred in them."""
        query = (
            select(snapshots.c.alert, snapshots.c.sent_at)
            .where(snapshots.c.incident == incident)
            .order_by(snapshots.c.sent_at, snapshots.c.seq)
        )
        found = [(row.alert, row.sent_at) for row in self._database.read(query)]
        return [found[n] for n in spread([sent_at for _, sent_at in found], STILLS)]

    def still(self, incident: str, number: int) -> bytes | None:
        """One picture of an incident, JPEG."""
        query = select(snapshots.c.jpeg).where(snapshots.c.incident == incident, snapshots.c.alert == number)
        return self._database.read(query).scalar_one_or_none()

    def record(self, incident: StoredIncident, now: float) -> Record:
        """What became of incidents like this one: same camera, same kind."""
        c = incidents.c
        alike = _alike(incident)
        newest = select(c.id, c.started_at, c.verdict).where(*alike).order_by(c.started_at.desc(), c.id.desc())
        change = select(func.max(thresholds.c.at)).where(
            thresholds.c.site == incident.site, thresholds.c.edge == incident.edge,
            thresholds.c.camera == incident.camera, thresholds.c.kind == incident.kind,
        )  # fmt: skip
        with self._database.reading() as connection:
            latest = tuple(Past(*row) for row in connection.execute(newest.limit(LATEST)))[::-1]
            changed_at = connection.execute(change).scalar_one()
            unjudged = connection.execute(_waiting_like(incident)).scalar_one()

            def share(since: float, until: float) -> Share:
                judged = select(c.verdict, func.count()).where(
                    *alike, c.verdict.is_not(None), c.started_at >= since, c.started_at < until
                )
                counts = Counter({row[0]: row[1] for row in connection.execute(judged.group_by(c.verdict))})
                return Share(counts["false"], counts.total() - counts["unclear"])

            recent = share(now - RECORD_DAYS * DAY_S, now + DAY_S)
            if changed_at is None:
                return Record(latest, recent, None, Share(), Share(), unjudged)
            length = min(now - changed_at, RECORD_DAYS * DAY_S)
            before = share(changed_at - length, changed_at)
            after = share(changed_at, now + DAY_S)
            return Record(latest, recent, changed_at, before, after, unjudged)


def _alike(incident: StoredIncident) -> tuple[ColumnElement[bool], ...]:
    """That another is of the same camera and kind, and shown."""
    c = incidents.c
    return (
        c.site == incident.site, c.edge == incident.edge, c.camera == incident.camera, c.kind == incident.kind,
        c.told != DOUBLE,
    )  # fmt: skip


def _waiting_like(incident: StoredIncident) -> Select[Any]:
    return select(func.count()).where(*_alike(incident), incidents.c.verdict.is_(None))


def _boxes(connection: Connection) -> Iterator[dict[str, str]]:
    """`site` and `edge` of each box of which anything waits: from one to the next, past all that waits of it."""
    c = incidents.c
    after = tuple_(c.site, c.edge) > tuple_(bindparam("site"), bindparam("edge"))
    query = select(c.site, c.edge).where(c.verdict.is_(None), after).order_by(c.site, c.edge).limit(1)
    box = {"site": "", "edge": ""}
    while found := connection.execute(query, box).first():
        box = found._asdict()
        yield box


def _in_turns(rows: Iterable[Any]) -> Iterator[Place]:
    """Places of what waits of a box, from harm, start and id, the most harmful first."""
    counts: Counter[int] = Counter()
    for harm, started_at, incident in rows:
        grade = harm // OF_SEVERITY
        yield counts[grade] // TURN, harm, started_at, incident
        counts[grade] += 1


def _turn(place: Place) -> tuple[int, int]:
    """Comes before that of another place: by severity, then by the boxes' turns."""
    return -(place[1] // OF_SEVERITY), place[0]


def spread(times: Sequence[float], most: int) -> list[int]:
    """Which of some times, in their order, stand for all: the first, the last, and what is farthest from those so far.

    Not every n-th: of a burst at the beginning and little afterwards nothing but the burst would be seen.
    """
    if len(times) <= most:
        return list(range(len(times)))
    taken = {0, len(times) - 1}
    away = [min(abs(at - times[0]), abs(times[-1] - at)) for at in times]
    while len(taken) < most:
        farthest = max((n for n in range(len(times)) if n not in taken), key=lambda n: away[n])
        taken.add(farthest)
        away = [min(so_far, abs(at - times[farthest])) for so_far, at in zip(away, times, strict=True)]
    return sorted(taken)


def is_reason(verdict: str, reason: str) -> bool:
    """Whether a reason goes with a verdict; none at all goes with any."""
    return not reason or reason in REASONS.get(verdict, ())
