"""Times that the hub wrote down while its clock was ahead are brought to now, so that nothing waits for them to come.

A machine's own clock often holds local time, or a wrong year, until a time server sets it right, hours later by then.
Reports of edges would be called older than the one that is held, a box that falls silent would be missed only when its
last report is past, and notices would count as just sent, or wait, for as long as the clock was ahead; so would cameras
for their next walk test, and footage for its end; who knocked once would knock, and a code let a box join, all the
while. What is evidence (alerts, verdicts, the audit log) stays as it was written.

So are incidents that boxes dated ahead while hubs still took them at their word: they would stand above all others in
the feed until that time came. What each box told of them stays in their records.

A clock may be behind as well: one without its battery shows a time of years ago until a time server is reached. The hub
has to go on by it all the same, but what it has on record was not ahead, and stays.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from sqlalchemy import Connection, Table, and_, case, func, select, update

from detector.clock import UNSET, iso
from detector.hub.desk.walk_tests import NONE, SETTLE_S, UNWATCHED
from detector.hub.notices.queue import LONGEST_REST_S
from detector.hub.storage.arrivals import AHEAD_S, by_our_clock
from detector.hub.storage.changes import note_changes
from detector.hub.storage.database import Database, one_at_a_time
from detector.hub.storage.schema import (
    alarms,
    alerts,
    clips,
    derived,
    edge_keys,
    edges,
    gaps,
    incidents,
    join_codes,
    knocks,
    notice_pauses,
    notice_rules,
    notice_targets,
    notices,
    retention,
    sides,
    walk_tests,
    watched,
)

logger = logging.getLogger(__name__)

# What can't be later than now: what the hub goes on by, whatever its clock shows,
AT_WORK: dict[Table, tuple[str, ...]] = {
    edges: ("state_at", "health_at"),
    alarms: ("seen_at",),
    notice_targets: ("at",),
    notice_rules: ("at",),
    notice_pauses: ("at",),
    join_codes: ("made_at", "used_at"),
    notices: ("created_at", "tried_at"),
    knocks: ("first_at", "last_at"),
    derived: ("asked_at", "changed_at"),
}
# and what it has on record, or lets footage go by.
ON_RECORD: dict[Table, tuple[str, ...]] = {
    edge_keys: ("since",),
    watched: ("since", "until"),
    gaps: ("began_at", "ended_at"),
    alarms: ("began_at", "raised_at", "ended_at", "acknowledged_at"),
    retention: ("announced_at", "deleted_at"),
    walk_tests: ("began_at",),
    clips: ("stored_at",),
    sides: ("stored_at",),
    incidents: ("replayed_at",),
}


def _put_in_their_places(connection: Connection, now: float) -> None:
    """Put incidents that begin later than now where intake puts them today (`arrivals`).

    By when the hub heard of them, so that where its own clock is behind nothing is moved.
    """
    i = incidents.c
    heard = select(func.max(alerts.c.received_at)).where(alerts.c.incident == i.id).scalar_subquery()
    ahead = select(i.id, i.started_at, i.ended_at, i.sent_at, heard.label("heard")).where(i.started_at > now + AHEAD_S)
    moved = []
    for row in connection.execute(ahead).all():
        if row.heard is None:
            continue
        started_at, ended_at = by_our_clock(row.started_at, row.ended_at, row.sent_at, row.heard)
        if started_at != row.started_at:
            connection.execute(update(incidents).where(i.id == row.id).values(started_at=started_at, ended_at=ended_at))
            moved.append(row.id)
    if moved:
        note_changes(connection, moved)
        logger.warning("%d incidents that boxes dated ahead stand where the hub heard of them now", len(moved))


def _settle_walk_tests(connection: Connection, now: float) -> None:
    """Have tests that end later than now be over and rested; of one that was looked for until then, what was found
    stays, and of the others nothing found says nothing."""
    w = walk_tests.c
    found = case((and_(w.found == NONE, w.looked_at < w.ended_at + SETTLE_S), UNWATCHED), else_=w.found)
    settled = {"began_at": now - SETTLE_S, "ended_at": now - SETTLE_S, "looked_at": now, "found": found}
    connection.execute(update(walk_tests).where(w.ended_at > now).values(settled))


def _bring(connection: Connection, times: Mapping[Table, tuple[str, ...]], now: float) -> int:
    """Have some times be now where they are later; how many were."""
    later = [(table, table.c[name]) for table, names in times.items() for name in names]
    found = (update(table).where(column > now).values({column.name: now}) for table, column in later)
    return sum(connection.execute(one).rowcount for one in found)


def bring_back(database: Database, now: float) -> None:
    """Have nothing that the hub waits for, or reckons from, lie further ahead than it may; `now` in Unix seconds.

    What was to wait goes at once: how long it should have waited was reckoned by a wrong clock. Where the clock of now
    is the wrong one, years behind, what is on record keeps its times.
    """
    n, t, p, j, d = notices.c, notice_targets.c, notice_pauses.c, join_codes.c, derived.c
    is_behind = now < UNSET
    if is_behind:
        logger.warning("the hub's clock shows %s, which can't be: what is on record keeps its times", iso(now))
    with database.writing() as connection:
        one_at_a_time(connection)
        _put_in_their_places(connection, now)
        connection.execute(update(notices).where(n.created_at > now).values(due_at=now))
        connection.execute(update(derived).where(d.changed_at > now).values(due_at=now))
        connection.execute(update(notice_targets).where(t.rests_until > now + LONGEST_REST_S).values(rests_until=now))
        connection.execute(update(notice_pauses).where(p.at > now).values(until=p.until - p.at + now))
        connection.execute(update(join_codes).where(j.made_at > now).values(expires_at=j.expires_at - j.made_at + now))
        brought = _bring(connection, AT_WORK, now)
        if not is_behind:
            _settle_walk_tests(connection, now)
            brought += _bring(connection, ON_RECORD, now)
    if brought and not is_behind:
        logger.warning("the hub's clock was ahead: %d times that it wrote down are taken for now", brought)
