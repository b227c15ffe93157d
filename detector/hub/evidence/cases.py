"""Cases: incidents that belong together, with a title, a note, the people involved and a state; and legal holds.

What is in a case that isn't closed, or held, is kept whatever retention says: `kept` says which.
Every change leaves its line in the audit log in the same transaction, under `case/NUMBER` and the incident's id.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, delete, exists, func, or_, select, union, update

from detector.hub.access.audit import Audit
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.rights import EVERYWHERE, Principal, Role, Scope
from detector.hub.storage.schema import audit, case_incidents, cases, holds, incidents
from detector.hub.storage.stored import CLEARED, StoredIncident
from detector.hub.storage.wanted import were_exposed

OPEN, HANDED_OVER, CLOSED = "open", "handed_over", "closed"
STATES = (OPEN, HANDED_OVER, CLOSED)
LONGEST = {"title": 100, "note": 1000, "people": 300}
MOST_INCIDENTS = 500
# What people do that a pack tells of, as the audit log calls it.
TOLD = ("case_added", "case_removed", "case_moved", "verdict", "undo", "outgrown", "reason", "note", "response")


class CaseClosed(Exception):  # noqa: N818  (a state, not an error of ours)
    """Incidents come into open cases, and go out of them, only."""


class CaseFull(Exception):  # noqa: N818  (a state, not an error of ours)
    """A case holds no more than `MOST_INCIDENTS`."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case; `incidents` are ids in the order they were added, `places` theirs as (site, camera)."""

    number: int
    version: int
    title: str
    note: str
    people: str
    state: str
    made_by: str
    made_at: float
    incidents: tuple[str, ...] = ()
    places: tuple[tuple[str, str], ...] = ()

    @property
    def subject(self) -> str:
        """What the audit log calls it."""
        return f"case/{self.number}"


@dataclass(frozen=True, slots=True)
class Sum:
    """What a case comes to: how many incidents and labels, from when to when (Unix seconds; `None` without any)."""

    incidents: int
    labels_low: int
    labels_high: int
    first: float | None
    last: float | None


@dataclass(frozen=True, slots=True)
class Hold:
    """Somebody's legal hold on an incident."""

    reason: str
    user: str
    at: float

    def yields_to(self, somebody: Principal) -> bool:
        """Whether somebody may renew or end it: whoever put it there, and owners."""
        return self.user == somebody.user or somebody.role is Role.OWNER


class Cases:
    """The cases in a database.

    Args:
        database: Where they are kept.
        audit: Where each change is put on record.
    """

    def __init__(self, database: Database, audit: Audit) -> None:
        self._database = database
        self._reading, self._writing, self._insert = database.reading, database.writing, database.insert
        self._audit = audit

    # Cases

    def make(self, title: str, inside: Sequence[StoredIncident], *, user: str, at: float) -> int:
        """Open a case; its number."""
        row = {
            "version": 1, "title": title, "note": "", "people": "", "state": OPEN, "made_by": user, "made_at": at,
        }  # fmt: skip
        with self._writing() as connection:
            number = int(connection.execute(cases.insert().returning(cases.c.number), row).scalar_one())
            self._audit.add(connection, at, user, "case_opened", f"case/{number}")
            self._put_in(connection, number, inside, user, at)
        return number

    def change(self, case: Case, changes: Mapping[str, str], *, user: str, at: float) -> bool:
        """Change title, note, people or state; not done (`False`) when somebody changed the case since it was read.

        What was written there before stays in the audit log.
        """
        changed = sorted(name for name, value in changes.items() if value != getattr(case, name))
        if not changed:
            return True
        mine = and_(cases.c.number == case.number, cases.c.version == case.version)
        new = update(cases).where(mine).values(**changes, version=case.version + 1).returning(cases.c.number)
        with self._writing() as connection:
            if connection.execute(new).first() is None:
                return False
            state = {"state": changes["state"]} if "state" in changed else {}
            former = {f"{name}_before": was for name in LONGEST if name in changed and (was := getattr(case, name))}
            self._audit.add(connection, at, user, "case_changed", case.subject, changed=changed, **state, **former)
        return True

    def add(self, case: Case, more: Sequence[StoredIncident], *, user: str, at: float) -> list[str]:
        """Put incidents into a case; the ids of those that weren't in it.

        Raises:
            CaseClosed: It isn't open.
            CaseFull: They would be too many.
        """
        with self._writing() as connection:
            self._must_be_open(connection, case)
            return self._put_in(connection, case.number, more, user, at)

    def remove(self, case: Case, incident: str, *, user: str, at: float) -> bool:
        """Take an incident out; tells whether it was in.

        Raises:
            CaseClosed: The case isn't open.
        """
        gone = delete(case_incidents).where(case_incidents.c.case == case.number, case_incidents.c.incident == incident)
        with self._writing() as connection:
            self._must_be_open(connection, case)
            if connection.execute(gone.returning(case_incidents.c.incident)).first() is None:
                return False
            self._audit.add(connection, at, user, "case_removed", case.subject, incident=incident)
            self._audit.add(connection, at, user, "case_removed", incident, case=case.number)
        return True

    def case(self, number: int, scope: Scope = EVERYWHERE, user: str = "") -> Case | None:
        """One case; `None` too where the visitor doesn't see all of its incidents."""
        return next(iter(self._read(select(cases).where(cases.c.number == number), scope, user)), None)

    def cases(
        self,
        scope: Scope = EVERYWHERE,
        user: str = "",
        *,
        state: str | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> list[Case]:
        """Cases that a visitor sees, the newest first, those before a number; of one state, where it is given."""
        query = select(cases).order_by(cases.c.number.desc()).limit(limit)
        if state is not None:
            query = query.where(cases.c.state == state)
        if before is not None:
            query = query.where(cases.c.number < before)
        return self._read(query, scope, user)

    def changed_at(self, case: Case) -> float:
        """When somebody last changed what a pack tells, Unix seconds: anything but whether the case is handed over."""
        c = audit.c
        told = select(func.max(c.at)).where(c.subject.in_([case.subject, *case.incidents]), c.action.in_(TOLD))
        last = self._database.read(told).scalar_one()
        changes = self._audit.entries(subject=case.subject, action="case_changed")
        words = [entry.at for entry in changes if entry.details.get("changed") != ["state"]]
        return max([last or 0.0, *words])

    def of(self, incident: str, scope: Scope = EVERYWHERE, user: str = "") -> list[Case]:
        """Cases that an incident is in and a visitor sees, the newest first."""
        numbers = select(case_incidents.c.case).where(case_incidents.c.incident == incident)
        return self._read(select(cases).where(cases.c.number.in_(numbers)).order_by(cases.c.number.desc()), scope, user)

    def sums(self, numbers: Sequence[int]) -> dict[int, Sum]:
        """What cases come to, each event once, cleared ones left out, and the labels of notes; no case without any."""
        other = case_incidents.alias()
        is_again = exists().where(other.c.case == case_incidents.c.case, other.c.incident == incidents.c.same_as)
        counted = (incidents.c.verdict.is_(None) | ~incidents.c.verdict.in_(CLEARED)) & ~is_again
        query = (
            select(
                case_incidents.c.case,
                func.count().filter(counted),
                func.coalesce(func.sum(incidents.c.labels_low).filter(counted, were_exposed()), 0),
                func.coalesce(func.sum(incidents.c.labels_high).filter(counted, were_exposed()), 0),
                func.min(incidents.c.started_at).filter(counted),
                func.max(incidents.c.ended_at).filter(counted),
            )
            .join(incidents, incidents.c.id == case_incidents.c.incident)
            .where(case_incidents.c.case.in_(numbers))
            .group_by(case_incidents.c.case)
        )
        with self._reading() as connection:
            rows = connection.execute(query) if numbers else ()
            return {row[0]: Sum(int(row[1]), int(row[2]), int(row[3]), row[4], row[5]) for row in rows}

    # What retention must keep

    def hold(self, incident: str, reason: str, *, user: str, at: float) -> None:
        """Put an incident on legal hold; where it is already, the reason is renewed. The audit log keeps each."""
        row = {"incident": incident, "user": user, "at": at, "reason": reason}
        with self._writing() as connection:
            one_at_a_time(connection)
            connection.execute(self._database.upsert(holds, ["incident"], ("user", "at", "reason")), row)
            self._audit.add(connection, at, user, "hold", incident, reason=reason)

    def release(self, incident: str, *, user: str, at: float) -> bool:
        """End an incident's legal hold; tells whether there was one. Cases go on keeping it."""
        with self._writing() as connection:
            one_at_a_time(connection)
            gone = delete(holds).where(holds.c.incident == incident).returning(holds.c.incident)
            if connection.execute(gone).first() is None:
                return False
            self._audit.add(connection, at, user, "hold_ended", incident)
        return True

    def legal_hold(self, incident: str) -> Hold | None:
        """The legal hold on an incident; a case may keep it all the same where there is none."""
        query = select(holds.c.reason, holds.c.user, holds.c.at).where(holds.c.incident == incident)
        row = self._database.read(query).one_or_none()
        return Hold(*row) if row else None

    # Inside

    def _put_in(
        self, connection: Connection, number: int, more: Sequence[StoredIncident], user: str, at: float
    ) -> list[str]:
        one_at_a_time(connection)  # or two, each of whom leaves room, would together exceed it
        insert = self._insert(case_incidents).on_conflict_do_nothing(index_elements=["case", "incident"])
        new = []
        for incident in more:
            row = {
                "case": number, "incident": incident.id, "site": incident.site, "camera": incident.camera,
                "added_by": user, "added_at": at,
            }  # fmt: skip
            if connection.execute(insert.returning(case_incidents.c.incident), row).first():
                new.append(incident.id)
                self._audit.add(connection, at, user, "case_added", f"case/{number}", incident=incident.id)
                self._audit.add(connection, at, user, "case_added", incident.id, case=number)
        held = select(func.count()).where(case_incidents.c.case == number)
        if connection.execute(held).scalar_one() > MOST_INCIDENTS:
            raise CaseFull
        return new

    def _must_be_open(self, connection: Connection, case: Case) -> None:
        one_at_a_time(connection)
        state = select(cases.c.state).where(cases.c.number == case.number)
        if connection.execute(state).scalar_one() != OPEN:
            raise CaseClosed

    def _read(self, query: Select[Any], scope: Scope, user: str) -> list[Case]:
        query = query.where(*visible(scope, user))
        with self._reading() as connection:
            rows = connection.execute(query).all()
            members = (
                select(case_incidents)
                .where(case_incidents.c.case.in_([row.number for row in rows]))
                .order_by(case_incidents.c.added_at, case_incidents.c.incident)
            )
            inside: dict[int, list[Any]] = {}
            for member in connection.execute(members) if rows else ():
                inside.setdefault(member.case, []).append(member)
        return [_case(row, inside.get(row.number, [])) for row in rows]


def _case(row: Any, inside: Iterable[Any]) -> Case:
    ids = tuple(member.incident for member in inside)
    places = tuple(sorted({(member.site, member.camera) for member in inside}))
    return Case(**row._mapping, incidents=ids, places=places)


def visible(scope: Scope, user: str) -> list[ColumnElement[bool]]:
    """Conditions on `cases`: those whose incidents are all in a scope; an empty one is seen by whoever opened it."""
    if scope.places is None:
        return []
    inside = case_incidents.c.case == cases.c.number
    elsewhere = ~and_(*scope.clauses(case_incidents.c.site, case_incidents.c.camera))
    return [~exists().where(inside, elsewhere), or_(exists().where(inside), cases.c.made_by == user)]


def kept() -> Any:
    """A query for the ids of all incidents that a case or a legal hold keeps."""
    in_case = select(case_incidents.c.incident).join(cases, cases.c.number == case_incidents.c.case)
    return union(select(holds.c.incident), in_case.where(cases.c.state != CLOSED))
