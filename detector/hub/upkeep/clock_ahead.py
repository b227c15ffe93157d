"""Times that the hub wrote down while its clock was ahead are brought to now, so that nothing waits for them to come.

A machine's own clock often holds local time, or a wrong year, until a time server sets it right, hours later by then.
Reports of edges would be called older than the one that is held, a box that falls silent would be missed only when its
last report is past, and notices would count as just sent, or wait, for as long as the clock was ahead. What is evidence
(alerts, verdicts, the audit log) stays as it was written.
"""

from __future__ import annotations

import logging

from sqlalchemy import Table, update

from detector.hub.notices.queue import LONGEST_REST_S
from detector.hub.storage.database import Database
from detector.hub.storage.schema import (
    alarms,
    edges,
    gaps,
    notice_pauses,
    notice_rules,
    notice_targets,
    notices,
    watched,
)

logger = logging.getLogger(__name__)

# What can't be later than now.
PAST: dict[Table, tuple[str, ...]] = {
    edges: ("state_at", "health_at"),
    watched: ("since", "until"),
    gaps: ("began_at", "ended_at"),
    alarms: ("began_at", "raised_at", "seen_at", "ended_at", "acknowledged_at"),
    notice_targets: ("at",),
    notice_rules: ("at",),
    notice_pauses: ("at",),
    notices: ("created_at", "tried_at"),
}


def bring_back(database: Database, now: float) -> None:
    """Have nothing that the hub waits for, or reckons from, lie further ahead than it may; `now` in Unix seconds.

    What was to wait goes at once: how long it should have waited was reckoned by a wrong clock.
    """
    n, t, p = notices.c, notice_targets.c, notice_pauses.c
    brought = 0
    with database.writing() as connection:
        connection.execute(update(notices).where(n.created_at > now).values(due_at=now))
        connection.execute(update(notice_targets).where(t.rests_until > now + LONGEST_REST_S).values(rests_until=now))
        connection.execute(update(notice_pauses).where(p.at > now).values(until=p.until - p.at + now))
        for table, names in PAST.items():
            for name in names:
                brought += connection.execute(update(table).where(table.c[name] > now).values({name: now})).rowcount
    if brought:
        logger.warning("the hub's clock was ahead: %d times that it wrote down are taken for now", brought)
