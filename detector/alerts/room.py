"""Which alerts give way when the outbox has no room: what tells least goes first, and no story is left half told.

1. Updates that a later envelope of the same incident, or its end, has overtaken; oldest of the lowest severity first.
2. Whole incidents with their clips: notes before warnings before critical ones, and of these the oldest first, but
   those last that still go on, whose end will tell it all. Of one that the hub has heard of, the end stays, which is
   small: else it would be open there for ever.
3. Where that isn't enough, whatever there is, in the same order.

What is on its way to the hub at this moment goes only in the third step, for it may be there already.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

STATEMENT = 9  # the severity of the outbox's own word on what it dropped, which is never dropped itself

OVERTAKEN = """
    SELECT seq FROM alerts AS a WHERE phase = 'update' AND seq NOT IN (SELECT value FROM json_each(:busy))
        AND (EXISTS (SELECT 1 FROM alerts AS b WHERE b.incident = a.incident AND b.seq > a.seq)
             OR NOT EXISTS (SELECT 1 FROM open WHERE open.incident = a.incident))
    ORDER BY severity, seq"""
WHOLE = f"""
    SELECT incident, MAX(put_at), EXISTS (SELECT 1 FROM open WHERE open.incident = a.incident) AS goes_on
    FROM alerts AS a WHERE severity < {STATEMENT}
    GROUP BY incident HAVING MAX(seq IN (SELECT value FROM json_each(:busy))) = 0
    ORDER BY MAX(severity), goes_on, MIN(seq)"""  # noqa: S608
OF_INCIDENT = """
    SELECT seq FROM alerts WHERE incident = :incident
        AND NOT (phase = 'end' AND EXISTS (SELECT 1 FROM stories WHERE stories.incident = :incident AND told))"""
ANY = f"""
    SELECT seq FROM alerts WHERE severity < {STATEMENT}
    ORDER BY seq IN (SELECT value FROM json_each(:busy)), severity, seq"""  # noqa: S608


@dataclass(slots=True)
class Given:
    """What gave way: numbers of alerts with severity and size in bytes, and incidents of which nothing is left."""

    alerts: list[tuple[int, int, int]] = field(default_factory=list)
    incidents: list[str] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Of the alerts' payload, bytes."""
        return sum(size for _, _, size in self.alerts)


def make_room(db: sqlite3.Connection, busy: Collection[int], is_enough: Callable[[Given], bool]) -> Given:
    """Delete alerts, within the caller's transaction, until that is enough or none is left.

    Args:
        db: The outbox.
        busy: Numbers of alerts that are on their way to the hub.
        is_enough: Asked before each.
    """
    given = Given()
    touched: dict[str, None] = {}
    for seqs in _in_order(db, json.dumps(list(busy))):
        if is_enough(given):
            break
        for seq in seqs:
            _delete(db, seq, given, touched)
    given.incidents = _gone(db, touched)
    return given


def drop_older(db: sqlite3.Connection, than: float, since: float) -> Given:
    """Delete whole incidents that are over and were last told before a time; of those told to the hub the end stays.

    Args:
        db: The outbox.
        than: Unix seconds.
        since: What seems to be from before this time was told by a clock that wasn't set: its age isn't known.
    """
    given = Given()
    touched: dict[str, None] = {}
    for incident, at, goes_on in db.execute(WHOLE, {"busy": "[]"}).fetchall():
        if since <= at < than and not goes_on:
            for seq in _of(db, incident):
                _delete(db, seq, given, touched)
    given.incidents = _gone(db, touched)
    return given


def _in_order(db: sqlite3.Connection, busy: str) -> Iterator[list[int]]:
    """Numbers of what goes, together what goes together."""
    # Each list is read to its end before anything of it is deleted.
    yield from ([seq] for (seq,) in db.execute(OVERTAKEN, {"busy": busy}).fetchall())
    for incident, *_ in db.execute(WHOLE, {"busy": busy}).fetchall():
        yield _of(db, incident)
    yield from ([seq] for (seq,) in db.execute(ANY, {"busy": busy}).fetchall())


def _of(db: sqlite3.Connection, incident: str) -> list[int]:
    return [seq for (seq,) in db.execute(OF_INCIDENT, {"incident": incident}).fetchall()]


def _delete(db: sqlite3.Connection, seq: int, given: Given, touched: dict[str, None]) -> None:
    delete = "DELETE FROM alerts WHERE seq = ? RETURNING severity, length(payload), incident"
    gone = db.execute(delete, (seq,)).fetchone()
    if gone is not None:
        given.alerts.append((seq, gone[0], gone[1]))
        touched[gone[2]] = None


def _gone(db: sqlite3.Connection, touched: Collection[str]) -> list[str]:
    """Those of these incidents of which neither the outbox nor the hub has anything, and which are over."""
    query = """SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE incident = value)
        AND NOT EXISTS (SELECT 1 FROM open WHERE incident = value)
        AND NOT EXISTS (SELECT 1 FROM stories WHERE incident = value AND told)"""
    return [incident for (incident,) in db.execute(query, (json.dumps(list(touched)),)).fetchall()]
