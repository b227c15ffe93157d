"""The queue of notices, which is their log too.

    change ─ rules ─► waiting ─► sending ─► sent            told at once
                  └─► held ─► (quiet hours or the hour end) ─► one summary, waiting
                                     sending ─► waiting     failed: tried again, ever more seldom, for a day;
                                                            so too where the database failed meanwhile

What failed rests by itself: whether a service is away or takes this one message never, can't be told apart, and what
comes next may be graver. So its target rests for moments only, or for as long as its service asked.

Everything stands in the database; what comes in, `raising` decides. Sending is *at least once*: who dies between
sending and putting on record that it was sent can't know, sends again, and says that it may be a double.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import case, delete, func, select, update

from detector.hub.notices.raising import ALARM, OVER, Raising
from detector.hub.notices.services import CAUSES, Answer
from detector.hub.notices.targets import Target, Targets
from detector.hub.storage.budget import DIGEST
from detector.hub.storage.database import Database
from detector.hub.storage.schema import incidents, notice_targets, notices
from detector.hub.storage.stored import CLEARED
from detector.values import DAY_S, Severity

FIRST_REST_S, LONGEST_REST_S = 30.0, 1800.0
GIVE_UP_S = DAY_S
KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Notice:
    """A row of queue and log.

    `what` is `incident`, `alarm`, `summary` or `test`; `state` is `waiting`, `sending`, `held`, `sent`, `failed`,
    `summed` (told by the notice `summary`), `risen` (a more severe one was told instead) or `dropped`; `reason` says
    why.
    """

    number: int
    target: int
    target_name: str
    what: str
    incident: str
    severity: str
    state: str
    reason: str
    summary: int | None
    created_at: float
    due_at: float
    tries: int
    tried_at: float | None
    answer: str

    @property
    def cause(self) -> str:
        """Key of the text that says why no service answered; empty where one did, or none was asked."""
        return self.answer if self.answer.startswith(CAUSES) else ""


@dataclass(frozen=True, slots=True)
class Summed:
    """What a summary tells of: so many incidents, so many of which are in the digest alone, and ids of the first."""

    count: int
    digested: int
    first: tuple[str, ...]


class Notices:
    """The queue in a database. Safe to use from any thread.

    Args:
        database: Where they are.
        data_dir: As of `Targets`.
        zone: In which hours are meant.

    Attributes:
        raising: What puts notices into it.
        targets: Whom they are for.

    Raises:
        OSError: As of `Targets`.
    """

    def __init__(self, database: Database, data_dir: Path, zone: str) -> None:
        self._database = database
        self.raising = Raising(database, zone)
        self.targets = Targets(database, data_dir)

    def take_up(self) -> int:
        """After a start: what was being sent when the hub died goes again, marked as perhaps a double; how many."""
        died = update(notices).where(notices.c.state == "sending", notices.c.what != "test").returning(notices.c.number)
        with self._database.writing() as connection:
            tests = (notices.c.state == "sending", notices.c.what == "test")
            connection.execute(update(notices).where(*tests).values(state="failed", answer=""))
            return len(connection.execute(died.values(state="waiting", reason="again")).all())

    def due(self, now: float, busy: Sequence[int] = ()) -> dict[int, int]:
        """The next notice of each target that may be sent to now; those of targets that are busy left out.

        Of what waits, that which was tried least: one that its service never takes keeps no other from being told.
        """
        c, t = notices.c, notice_targets.c
        turn = func.row_number().over(partition_by=c.target, order_by=(c.tries, c.number))
        waiting = (
            select(c.target, c.number, turn.label("turn"))
            .join(notice_targets, t.number == c.target)
            .where(c.state == "waiting", c.due_at <= now, t.rests_until <= now, c.target.not_in(busy))
            .subquery()
        )
        query = select(waiting.c.target, waiting.c.number).where(waiting.c.turn == 1)
        return {row.target: row.number for row in self._database.read(query)}

    def next_tries(self) -> dict[int, float]:
        """When something is sent next to each target that something waits for, Unix seconds, as far as is known now."""
        c, t = notices.c, notice_targets.c
        query = select(c.target, t.rests_until, func.min(c.due_at).label("due_at")).join(
            notice_targets, t.number == c.target
        )
        query = query.where(c.state.in_(("waiting", "held"))).group_by(c.target, t.rests_until)
        rows = self._database.read(query)
        return {row.target: max(row.rests_until, row.due_at) for row in rows}

    def begin(self, number: int, now: float) -> Notice | None:
        """Mark a notice as being sent; `None` where it no longer waits."""
        waits = update(notices).where(notices.c.number == number, notices.c.state == "waiting")
        marked = waits.values(state="sending", tries=notices.c.tries + 1, tried_at=now).returning(notices)
        with self._database.writing() as connection:
            row = connection.execute(marked).one_or_none()
        return Notice(**row._mapping) if row else None

    def settle(self, notice: Notice, answer: Answer, now: float) -> None:
        """Put on record what came of sending; what failed is tried again later, for a day.

        A service that takes a notice after it took none has what waits for another try at once.
        """
        ok, t, n = answer.ok, notice_targets.c, notices.c
        again_s = None if answer.again_s is None else min(max(answer.again_s, 1.0), LONGEST_REST_S)
        with self._database.writing() as connection:
            before = connection.execute(select(t.failures).where(t.number == notice.target)).scalar_one_or_none()
            failures = 0 if ok or before is None else before + 1
            is_over = notice.what == "test" or _is_over(notice, max(failures, notice.tries), now)
            state = "sent" if ok else "failed" if is_over else "waiting"
            connection.execute(
                update(notices)
                .where(notices.c.number == notice.number, notices.c.state == "sending")
                .values(
                    state=state,
                    answer=answer.cause or answer.text.replace("\0", "?"),
                    reason="again" if answer.unsure and not ok else notice.reason,
                    due_at=notice.due_at if ok else now + (again_s or _rest_s(notice.tries)),
                )
            )
            if notice.what == "test":
                return
            rests_until = now + (again_s or FIRST_REST_S) if failures else 0.0
            rests = update(notice_targets).where(t.number == notice.target)
            connection.execute(rests.values(failures=failures, rests_until=rests_until))
            if ok and before:
                waits = (n.target == notice.target, n.state == "waiting", n.due_at > now)
                connection.execute(update(notices).where(*waits).values(due_at=now))

    def put_back(self, notice: Notice, now: float, *, unsure: bool) -> None:
        """Have a notice that was begun, and came to no end, go again later, for a day.

        Args:
            notice: As it was begun.
            now: Unix seconds.
            unsure: Whether it may have been sent.
        """
        with self._database.writing() as connection:
            connection.execute(
                update(notices)
                .where(notices.c.number == notice.number, notices.c.state == "sending")
                .values(
                    state="failed" if _is_over(notice, notice.tries, now) else "waiting",
                    reason="again" if unsure else notice.reason,
                    due_at=now + _rest_s(notice.tries),
                )
            )

    def put_back_left(self, now: float, busy: Sequence[int]) -> int:
        """Put back what is being sent to targets that nobody is busy with: what became of it is not known; how many."""
        c = notices.c
        left = select(notices).where(c.state == "sending", c.what != "test", c.target.not_in(busy))
        found = [Notice(**row._mapping) for row in self._database.read(left)]
        for notice in found:
            self.put_back(notice, now, unsure=True)
        return len(found)

    def make_end(self, notice: Notice) -> Notice:
        """Have the notice of an alarm that was over before it could be told be that of its end, which is told once."""
        end = notice.incident.removesuffix(OVER) + OVER
        with self._database.writing() as connection:
            connection.execute(update(notices).where(notices.c.number == notice.number).values(incident=end))
        return replace(notice, incident=end)

    def make_ends(self, summary: Notice, numbers: Sequence[int]) -> None:
        """Likewise, of alarms that a summary tells of."""
        names = [f"{ALARM}{number}" for number in numbers]
        theirs = (notices.c.summary == summary.number, notices.c.incident.in_(names))
        with self._database.writing() as connection:
            connection.execute(update(notices).where(*theirs).values(incident=notices.c.incident + OVER))

    def drop(self, notice: Notice, reason: str) -> None:
        """Put on record that a notice is not told after all."""
        with self._database.writing() as connection:
            connection.execute(
                update(notices).where(notices.c.number == notice.number).values(state="dropped", reason=reason)
            )

    def leave_out_cleared(self, summary: int) -> None:
        """Put on record that a summary does not tell of what people have cleared, or is gone."""
        i, shown = incidents.c, incidents.alias().c  # in a double's stead
        stands = [one.verdict.is_(None) | one.verdict.not_in(CLEARED) for one in (i, shown)]
        uncleared = select(i.id).where(i.id == notices.c.incident, shown.id == func.coalesce(i.same_as, i.id), *stands)
        others = (notices.c.summary == summary, ~uncleared.exists())
        with self._database.writing() as connection:
            connection.execute(update(notices).where(*others).values(state="dropped", reason="cleared", summary=None))

    def add_test(self, target: Target, now: float) -> Notice:
        """A test message, to be sent at once by who asked for it."""
        row = {
            "target": target.number, "target_name": target.name, "what": "test", "severity": "info",
            "incident": f"test:{uuid.uuid4().hex}", "state": "sending", "created_at": now, "due_at": now, "tries": 1,
            "tried_at": now,
        }  # fmt: skip
        with self._database.writing() as connection:
            return Notice(**connection.execute(notices.insert().returning(notices), row).one()._mapping)

    def summed(self, number: int, most: int | None = None) -> list[str]:
        """What a summary tells of: alarms, by the names of their notices, or else incidents."""
        query = select(notices.c.incident).where(notices.c.summary == number).order_by(notices.c.number)
        return list(self._database.read(query.limit(most)).scalars())

    def summed_up(self, number: int, most: int) -> Summed:
        """How many incidents a summary tells of, and some of them: the worst first, of equal ones each box's in turn.

        So one that tells very much doesn't keep what others tell out of the few lines of a summary.
        """
        i = incidents.c
        these = select(i.id).join(notices, notices.c.incident == i.id).where(notices.c.summary == number)
        worst = case((i.severity == Severity.CRITICAL, 0), (i.severity == Severity.INFO, 2), else_=1)
        turn = func.row_number().over(partition_by=(i.site, i.edge, worst), order_by=(i.started_at, i.id))
        first = these.order_by(worst, turn, i.started_at, i.id).limit(most)
        counts = these.with_only_columns(func.count(), func.count().filter(i.told == DIGEST))
        with self._database.reading() as connection:
            count, digested = connection.execute(counts).one()
            return Summed(count, digested, tuple(connection.execute(first).scalars()))

    def how_many(self, summaries: Sequence[int]) -> dict[int, int]:
        """How many notices each of these summaries tells of."""
        c = notices.c
        query = select(c.summary, func.count()).where(c.summary.in_(summaries)).group_by(c.summary)
        return dict.fromkeys(summaries, 0) | {row[0]: row[1] for row in self._database.read(query)}

    def log(self, targets: Sequence[int], before: int | None = None, limit: int = 50) -> list[Notice]:
        """Notices of these targets, latest first."""
        query = select(notices).where(notices.c.target.in_(targets)).order_by(notices.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(notices.c.number < before)
        return [Notice(**row._mapping) for row in self._database.read(query)]

    def tidy(self) -> None:
        """Keep the latest twenty thousand of what is done."""
        newest = select(func.max(notices.c.number)).scalar_subquery()
        done = notices.c.state.not_in(("waiting", "sending", "held"))
        with self._database.writing() as connection:
            connection.execute(delete(notices).where(notices.c.number <= newest - KEPT, done))


def _rest_s(failures: int) -> float:
    """How long to wait after so many failures."""
    return min(FIRST_REST_S * 2.0 ** min(failures - 1, 10), LONGEST_REST_S)


def _is_over(notice: Notice, failures: int, now: float) -> bool:
    """Whether a notice is given up after so many failures: one that was held, or lay in a hub that was off, for longer
    than a day is not given up for a moment's."""
    return _rest_s(failures) == LONGEST_REST_S and now - notice.created_at > GIVE_UP_S
