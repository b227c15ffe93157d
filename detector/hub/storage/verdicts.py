"""Verdicts on incidents: who judged what, which of them counts, and who may replace it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import ColumnElement, Connection, exists, func, select, update

from detector.hub.storage.audit_chain import SYSTEM, add_entry
from detector.hub.storage.budget import DOUBLE
from detector.hub.storage.changes import note_changes
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Scope
from detector.hub.storage.schema import incidents, verdicts
from detector.hub.storage.stored import Contested, Verdict
from detector.hub.storage.tuning import Judged
from detector.hub.storage.wanted import Wanted, within


class Verdicts:
    """Those in a database. Safe to use from any thread; what writes has committed on return."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(
        self, incident: str, user: str, verdict: str, note: str, at: float, reason: str = "", *, over: int | None = None
    ) -> int:
        """Judge an incident; earlier verdicts stay on record.

        Args:
            incident: Its id.
            user: Who judges.
            verdict: One of `VERDICTS`.
            note: In the judge's words, or empty.
            at: When.
            reason: One of `reviews.REASONS`, or empty.
            over: The number of the verdict that this one may replace although it is somebody else's (0: none); `None`
                asks nobody.

        Returns:
            The verdict's number.

        Raises:
            Contested: Another verdict of somebody else stands.
        """
        row = {"incident": incident, "user": user, "verdict": verdict, "note": note, "at": at, "reason": reason}
        with self._database.writing() as connection:
            one_at_a_time(connection)
            _ask_over(connection, incident, user, over)
            number = connection.execute(verdicts.insert().returning(verdicts.c.number), row).scalar_one()
            settle(connection, incident)
            note_changes(connection, [incident])
        return int(number)

    def add_to_open(self, ids: Sequence[str], user: str, verdict: str, at: float, reason: str = "") -> list[str]:
        """Judge alike what nobody has judged of some incidents; tells which those were."""
        row = {"user": user, "verdict": verdict, "note": "", "at": at, "reason": reason}
        with self._database.writing() as connection:
            one_at_a_time(connection)
            unjudged = select(incidents.c.id).where(incidents.c.id.in_(ids), incidents.c.verdict.is_(None))
            found = set(connection.execute(unjudged).scalars())
            judged = [incident for incident in dict.fromkeys(ids) if incident in found]
            for incident in judged:
                connection.execute(verdicts.insert(), {**row, "incident": incident})
                settle(connection, incident)
            note_changes(connection, judged)
        return judged

    def given(self, user: str, at: float) -> dict[str, str]:
        """What somebody judged at one moment, incident and verdict, as far as it is that which counts still."""
        later = verdicts.alias()
        replaced = exists().where(
            later.c.incident == verdicts.c.incident, later.c.number > verdicts.c.number, later.c.withdrawn_at.is_(None)
        )
        own = (verdicts.c.user == user, verdicts.c.at == at, verdicts.c.withdrawn_at.is_(None), ~replaced)
        query = select(verdicts.c.incident, verdicts.c.verdict).where(*own).order_by(verdicts.c.number)
        return {incident: verdict for incident, verdict in self._database.read(query)}  # noqa: C416  (rows are no pairs)

    def withdraw(self, incident: str, user: str, at: float, *, over: int | None = None) -> str | None:
        """Take back the verdict that counts, so that the one before it counts again; tells which it was, if any.

        Raises:
            Contested: It is somebody else's, and not the one that `over` names (see `add`).
        """
        latest = select(func.max(verdicts.c.number)).where(*_standing(incident)).scalar_subquery()
        with self._database.writing() as connection:
            one_at_a_time(connection)
            _ask_over(connection, incident, user, over)
            withdrawal = update(verdicts).where(verdicts.c.number == latest)
            withdrawal = withdrawal.values(withdrawn_by=user, withdrawn_at=at)
            taken = connection.execute(withdrawal.returning(verdicts.c.verdict)).scalar_one_or_none()
            settle(connection, incident)
            note_changes(connection, [incident])
        return taken

    def set_reason(self, incident: str, number: int, user: str, reason: str) -> bool:
        """Say why a verdict of one's own was given; tells whether it is one, and still counts."""
        own = (verdicts.c.number == number, verdicts.c.user == user, *_standing(incident))
        with self._database.writing() as connection:
            one_at_a_time(connection)
            changed = update(verdicts).where(*own).values(reason=reason).returning(verdicts.c.number)
            found = connection.execute(changed).first() is not None
            if found:
                note_changes(connection, [incident])
        return found

    def on(self, incident: str) -> list[Verdict]:
        """Every verdict on an incident, latest first."""
        with self._database.reading() as connection:
            return _verdicts_on(connection, incident)

    def judged(
        self, since: float, scope: Scope = EVERYWHERE, place: tuple[str, str, str, str] | None = None
    ) -> list[Judged]:
        """Judged incidents that live told of and that began at `since` or later, newest first.

        With `place`, those of one site, edge, camera and kind.
        """
        c, other = incidents.c, incidents.alias().c
        where = (c.site, c.edge, c.camera, c.kind)
        # Through a function, as in `Wanted.clauses`: the index of judged ones holds all of these.
        began = func.coalesce(c.started_at, 0.0)
        same = zip(where, place or (), strict=False)
        query = select(*where, c.id, c.score, c.verdict).where(c.verdict.is_not(None), began >= since)
        query = query.where(*(func.coalesce(column, "") == value for column, value in same))
        if scope.limits_cameras:  # some doubles are shown
            query = query.where(*Wanted(scope=scope, replayed=False).clauses())
        else:
            # Not by `Wanted`, for whose columns each row would be read: those left out have indexes of their own.
            doubles = select(other.id).where(other.same_as.is_not(None), other.told == DOUBLE)
            replayed = select(other.id).where(other.replayed_at.is_not(None))
            query = query.where(c.id.not_in(doubles), c.id.not_in(replayed), *within(scope))
        with self._database.reading() as connection:
            return [Judged(*row) for row in connection.execute(query.order_by(began.desc(), c.id.desc()))]


def settle(connection: Connection, incident: str) -> None:
    """Have an incident be what the verdict that counts says, or judged by nobody."""
    latest = select(verdicts.c.verdict).where(*_standing(incident)).order_by(verdicts.c.number.desc()).limit(1)
    connection.execute(update(incidents).where(incidents.c.id == incident).values(verdict=latest.scalar_subquery()))


def outgrow(connection: Connection, incident: str, at: float) -> None:
    """Take back what people made of an incident that grew graver since: a verdict on less is none on more."""
    was = connection.execute(select(incidents.c.verdict).where(incidents.c.id == incident)).scalar_one()
    connection.execute(update(verdicts).where(*_standing(incident)).values(withdrawn_by=SYSTEM, withdrawn_at=at))
    settle(connection, incident)
    add_entry(connection, at, SYSTEM, "outgrown", incident, verdict=was)


def _standing(incident: str) -> tuple[ColumnElement[bool], ...]:
    """Conditions on `verdicts`: those on an incident that nobody took back, of which the latest counts."""
    return verdicts.c.incident == incident, verdicts.c.withdrawn_at.is_(None)


def _verdicts_on(connection: Connection, incident: str) -> list[Verdict]:
    """Every verdict on an incident, latest first."""
    columns = (verdicts.c[name] for name in Verdict.__slots__)
    query = select(*columns).where(verdicts.c.incident == incident).order_by(verdicts.c.number.desc())
    return [Verdict(**row._mapping) for row in connection.execute(query)]


def _ask_over(connection: Connection, incident: str, user: str, over: int | None) -> None:
    """Make sure that somebody may replace the verdict that counts: see `Verdicts.add`.

    Raises:
        Contested: It is somebody else's, and not the one that `over` names.
    """
    if over is None:
        return
    latest = next((one for one in _verdicts_on(connection, incident) if one.withdrawn_at is None), None)
    if latest is not None and latest.user != user and latest.number != over:
        raise Contested(latest)
