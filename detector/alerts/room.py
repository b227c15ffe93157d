"""What gives way when the outbox has no room: what tells least goes first.

1. Updates that a later envelope of the same incident, or its end, has overtaken; oldest of the lowest severity first.
2. Whole incidents with their clips: notes before warnings before critical ones, and of these the oldest first, but
   those last that still go on, whose end will tell it all. Of one that the hub has heard of, the end stays, which is
   small: else it would be open there for ever.
3. Where that isn't enough, whatever there is, in the same order.

So no story is left half told. What is on its way to the hub at this moment goes only in the third step, for it may be
there already. What is dropped is counted, and the hub is told of its number.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from detector.alerts.alert_queue import STATEMENT, AlertQueue
from detector.alerts.clip_queue import ClipQueue
from detector.alerts.losses import count_dropped, loss_counts, note_untold
from detector.alerts.outbox_file import OutboxFile, mending
from detector.clock import UNSET, Clock
from detector.config import Buffers
from detector.values import DAY_S

logger = logging.getLogger(__name__)

ROOM_AGAIN = 0.9  # below this share of the limits there is room again
BELIEVED_AFTER_S = DAY_S  # a clock that leapt must have gone on for so long before anything is too old by it
ODD_LEAP_S, EVERYDAY_STEP_S = 3 * DAY_S, 60.0

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
    """What gave way to which limit: numbers of alerts with severity, size in bytes and incident; files of clips."""

    reason: str
    alerts: list[tuple[int, int, int, str]] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)

    @property
    def size(self) -> int:
        """Of the alerts' payload, bytes."""
        return sum(size for _, _, size, _ in self.alerts)


class Room:
    """Keeps an outbox within its limits.

    Attributes:
        believes_clock: Whether anything may be too old by the clock, as of the last `drop_old`.
    """

    def __init__(self, file: OutboxFile, alerts: AlertQueue, clips: ClipQueue, buffers: Buffers, clock: Clock) -> None:
        self._file = file
        self._alerts = alerts
        self._clips = clips
        self._rows, self._bytes = buffers.alert_rows, buffers.alert_mb * 2**20
        self._longest_s = buffers.alert_days * DAY_S
        self._clock = clock
        self._dropping = False
        self.believes_clock = False

    @property
    def full(self) -> float:
        """The share of the room for alerts that is taken."""
        return max(self._alerts.rows / self._rows, self._alerts.bytes / self._bytes)

    def make_for(self, size: int) -> Given:
        """Drop what exceeds the limits, inside the transaction that adds an alert of so many bytes."""
        rows, bytes_ = self._alerts.rows + 1, self._alerts.bytes + size
        given = Given("rows" if rows > self._rows else "bytes")
        if rows > self._rows or bytes_ > self._bytes:
            # A hundredth more than must be, so that not every envelope has to look for what goes.
            most_rows, most_bytes = self._rows - self._rows // 100, self._bytes - self._bytes // 100
            self._drop_until(given, lambda: rows - len(given.alerts) <= most_rows and bytes_ - given.size <= most_bytes)
        return given

    def settle(self, given: Given) -> None:
        """After the commit: what was dropped is forgotten, and said."""
        for seq, _, size, _ in given.alerts:
            self._alerts.gone(seq, size)
        for path in given.files:
            with suppress(OSError):  # who looks after the folder of clips finds it there
                path.unlink(missing_ok=True)
        if given.alerts:
            if not self._dropping:
                logger.error("the outbox gives alerts up (%s): notes first, the oldest of them first", given.reason)
            self._dropping = True

    def report_recovery(self) -> None:
        """There is room again: say so, once."""
        if self._dropping and self.full < ROOM_AGAIN:
            logger.warning("the outbox has room again; dropped so far: %s", loss_counts(self._file)["dropped"])
            self._dropping = False

    @mending
    def drop_old(self) -> int:
        """Give up incidents older than they are to become; returns how many envelopes went.

        Of those told to the hub the end stays, and so does what goes on. Age is by the wall clock. One that leapt since
        the last call must have gone on for a day before it is believed: a box without a battery starts somewhere else
        in time until it finds a time server.

        Raises:
            StoreError: The database can't be read or written.
        """
        now, given = self._clock.now(), Given("age")
        self.believes_clock = False
        with self._file.locked():
            with self._file.transaction():
                is_believed = self._is_clock_believed(now)
                if is_believed:
                    for incident, at, goes_on in self._file.query(WHOLE, {"busy": "[]"}):
                        if UNSET <= at < now - self._longest_s and not goes_on:
                            self._delete(given, self._of(incident))
                self._put_on_record(given)
            self.settle(given)
        self.believes_clock = is_believed
        return len(given.alerts)

    @mending
    def drop_for_disk(self, size: int) -> int:
        """Give up envelopes of so many bytes, since the disk is full: the file grows no more. Returns how many went.

        Raises:
            StoreError: The database can't be read or written.
        """
        given = Given("disk")
        with self._file.locked():
            with self._file.transaction():
                self._drop_until(given, lambda: given.size >= size)
            self.settle(given)
        return len(given.alerts)

    @mending
    def free_bytes(self) -> int:
        """Room inside the file that the next envelopes take before it grows."""
        with self._file.locked():
            return self._file.one("PRAGMA freelist_count") * self._file.one("PRAGMA page_size")

    def _is_clock_believed(self, now: float) -> bool:
        """Whether things may be too old by the clock."""
        before = float(self._file.meta("looked_at", repr(now)))
        believed_from = float(self._file.meta("believed_from", "0"))
        if not -EVERYDAY_STEP_S < now - before < ODD_LEAP_S:
            believed_from = now + BELIEVED_AFTER_S
        for name, value in (("looked_at", now), ("believed_from", believed_from)):
            self._file.set_meta(name, repr(value))
        return now >= believed_from

    def _drop_until(self, given: Given, is_enough: Callable[[], bool]) -> None:
        for seqs in self._in_order(json.dumps(list(self._alerts.in_flight))):
            if is_enough():
                break
            self._delete(given, seqs)
        self._put_on_record(given)

    def _in_order(self, busy: str) -> Iterator[list[int]]:
        """Numbers of what goes, together what goes together."""
        # Each list is read to its end before anything of it is deleted.
        yield from ([seq] for (seq,) in self._file.query(OVERTAKEN, {"busy": busy}))
        for incident, *_ in self._file.query(WHOLE, {"busy": busy}):
            yield self._of(incident)
        yield from ([seq] for (seq,) in self._file.query(ANY, {"busy": busy}))

    def _of(self, incident: str) -> list[int]:
        return [seq for (seq,) in self._file.query(OF_INCIDENT, {"incident": incident})]

    def _delete(self, given: Given, seqs: list[int]) -> None:
        delete = "DELETE FROM alerts WHERE seq = ? RETURNING seq, severity, length(payload), incident"
        for seq in seqs:
            given.alerts += self._file.query(delete, (seq,))

    def _put_on_record(self, given: Given) -> None:
        for seq, severity, _, _ in given.alerts:
            count_dropped(self._file, "alert", given.reason, severity)
            note_untold(self._file, seq, given.reason)
        # Clips go with those of which neither the outbox nor the hub has anything, and which are over.
        query = """SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE incident = value)
            AND NOT EXISTS (SELECT 1 FROM open WHERE incident = value)
            AND NOT EXISTS (SELECT 1 FROM stories WHERE incident = value AND told)"""
        touched = list(dict.fromkeys(incident for *_, incident in given.alerts))
        over = [incident for (incident,) in self._file.query(query, (json.dumps(touched),))]
        given.files = self._clips.drop(over, given.reason)
