"""Which of the alerts that wait for the hub are sent next.

What is put while there is a link goes to the hub at once, whatever waits from before; that follows, the gravest first,
and has a share of the way that nothing takes from it. What was sent and when to send it again is kept in memory only,
since everything un-acknowledged is sent anew after a restart or a reconnect anyway; so sending costs no fsync.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

from detector.alerts.outbox_file import OutboxFile
from detector.values import Severity

WINDOW = 100  # rows in flight at most
SHARE = 25  # of them, kept free for what is new while there is a backlog, and for the backlog while there is news
BETWEEN = 3  # so many news go before one of the backlog, however few go at once
FIRST_RESEND_S = 5.0
LONGEST_RESEND_S = 60.0
LONGEST_PUT_OFF = 16  # times as long as at first: what waits for months must not fill a slow line each minute
# With the resend times above this is ten minutes of silence about one row while the hub confirms later ones.
ATTEMPTS_BEFORE_BURIAL = 14
STATEMENT = 9  # the severity of the outbox's own word on what it dropped, which is never dropped itself


@dataclass(frozen=True, slots=True)
class Row:
    """An envelope to send; `payload` is what goes over the wire, `attempts` how often it went before."""

    seq: int
    id: str
    payload: bytes
    attempts: int


@dataclass(slots=True)
class _Sent:
    """How often a row was sent, how often of these its answer was waited for in vain, and when to send it again.

    `acks` is how many rows the hub had confirmed when it was sent last; `left_out`, in how many of the waits before
    that it confirmed others; `put_off`, how often the hub asked for it later: from then on it is no news.
    """

    attempts: int
    due_at: float
    waits: int = 0
    acks: int = 0
    left_out: int = 0
    put_off: int = 0
    is_early: bool = False  # it was put off just now: it is no more under way


class AlertQueue:
    """What is in memory of the alerts that wait; who writes their rows tells it of them. All within `locked`.

    Attributes:
        rows: How many there are.
        bytes: The size of their payload.
    """

    def __init__(self, file: OutboxFile) -> None:
        self._file = file
        self._sent: dict[int, _Sent] = {}
        self.rows = self.bytes = 0

    @property
    def in_flight(self) -> Collection[int]:
        """Numbers of what was sent and is still here."""
        return self._sent.keys()

    def load(self) -> None:
        """The file was opened: all that is in it is the backlog."""
        self._sent.clear()
        self._highest_acked = self._acks = 0  # numbers begin anew
        self._in_turn = 0
        self.rows = self._file.one("SELECT COUNT(*) FROM alerts")
        self.bytes = self._file.one("SELECT COALESCE(SUM(length(payload)), 0) FROM alerts")
        self._new_from = int(self._file.meta("last_seq")) + 1

    def added(self, size: int) -> None:
        """There is a row more."""
        self.rows += 1
        self.bytes += size

    def gone(self, seq: int, size: int, *, is_acked: bool = False) -> None:
        """A row is deleted."""
        self._sent.pop(seq, None)
        self.rows -= 1
        self.bytes -= size
        if is_acked:
            self._highest_acked = max(self._highest_acked, seq)
            self._acks += 1

    def resend_all(self, new_since: float) -> None:
        """All that was sent is due now, and waited for afresh; new is what was put since a time."""
        self._new_from = self._first_since(new_since)
        for sent in self._sent.values():
            sent.due_at, sent.waits, sent.left_out, sent.put_off = 0.0, 0, 0, 0

    def postpone(self, ids: list[str], now: float, delay_s: float) -> None:
        """These are due again after so long, and longer each time, and in nobody's way."""
        query = "SELECT seq FROM json_each(?) JOIN alerts ON alerts.id = value"
        for (seq,) in self._file.query(query, (json.dumps(ids),)):
            if seq in self._sent:
                before = self._sent[seq]
                due_at = now + delay_s * min(2**before.put_off, LONGEST_PUT_OFF)
                self._sent[seq] = _Sent(before.attempts, due_at, put_off=before.put_off + 1, is_early=True)

    def refused(self, now: float) -> list[int]:
        """Numbers of what the hub keeps leaving out while it confirms later ones; one that is away leaves out none."""
        late = ((seq, self._left_out(self._sent[seq])) for seq in self._late(now))
        return [seq for seq, times in late if times >= ATTEMPTS_BEFORE_BURIAL and seq < self._highest_acked]

    def take_due(self, limit: int, now: float, most_bytes: float) -> list[Row]:
        """See `Outbox.take_due`."""
        due, new_from = self._late(now), self._new_from
        late = [seq for seq in due if not self._sent[seq].is_early]
        is_old = {seq: seq < new_from or sent.put_off > 0 for seq, sent in self._sent.items() if not sent.is_early}
        old_in_flight = sum(is_old.values())
        room = min(limit - len(late), WINDOW - len(is_old))
        waiting = [seq for seq in self._backlog(new_from) if seq not in self._sent]
        waiting += [seq for seq in due if self._sent[seq].is_early]
        for_old = max(SHARE - old_in_flight, room // 4, 1) if waiting else 0
        news = self._unsent_news(new_from, room - min(for_old, room // 2))
        old = waiting[: max(0, min(room - len(news), WINDOW - SHARE - old_in_flight))]
        again = [seq for seq in late if not is_old[seq]], [seq for seq in late if is_old[seq]]
        next_old = old[:1] if self._in_turn >= BETWEEN else []
        chosen = [*next_old, *again[0], *news, *again[1], *old[len(next_old) :]][: max(limit, 0)]
        found: list[tuple[int, str, bytes]] = []
        # In this order, and each read when it is asked for.
        query = "SELECT seq, alerts.id, payload FROM json_each(?) CROSS JOIN alerts ON seq = value"
        for row in self._file.execute(query, (json.dumps(chosen),)):
            found.append(row)
            most_bytes -= len(row[2])
            if most_bytes <= 0:
                break
        # Marked as sent only now: had reading failed, none of them would have been.
        for seq, _, _ in found:
            self._in_turn = 0 if seq in old else self._in_turn + (seq in news)
        return [self._send(seq, id_, payload, now) for seq, id_, payload in found]

    def _late(self, now: float) -> list[int]:
        return sorted(seq for seq, sent in self._sent.items() if sent.due_at <= now)

    def _backlog(self, new_from: int) -> list[int]:
        """Numbers of what waited while there was no link, the gravest first, as many as may be wanted."""
        found: list[int] = []
        query = "SELECT seq FROM alerts WHERE severity = ? AND seq < ? ORDER BY seq LIMIT ?"
        most = WINDOW + len(self._sent)
        for rank in (STATEMENT, *sorted(severity.rank for severity in Severity)[::-1]):
            if len(found) < most:
                found += (seq for (seq,) in self._file.query(query, (rank, new_from, most - len(found))))
        return found

    def _unsent_news(self, new_from: int, limit: int) -> list[int]:
        if limit <= 0:
            return []
        query = "SELECT seq FROM alerts WHERE seq >= ? ORDER BY seq LIMIT ?"
        found = self._file.query(query, (new_from, limit + len(self._sent)))
        return [seq for (seq,) in found if seq not in self._sent][:limit]

    def _first_since(self, at: float) -> int:
        """Number of the first envelope put since a time, looking back no further than some hundreds."""
        recent = self._file.query("SELECT seq, put_at FROM alerts ORDER BY seq DESC LIMIT ?", (10 * WINDOW,))
        return min((seq for seq, put_at in recent if put_at >= at), default=int(self._file.meta("last_seq")) + 1)

    def _send(self, seq: int, id_: str, payload: bytes, now: float) -> Row:
        before = self._sent.get(seq, _Sent(0, 0.0))
        due_at = now + min(FIRST_RESEND_S * 2**before.waits, LONGEST_RESEND_S)
        left_out = self._left_out(before)
        self._sent[seq] = _Sent(before.attempts + 1, due_at, before.waits + 1, self._acks, left_out, before.put_off)
        return Row(seq, id_, payload, before.attempts)

    def _left_out(self, sent: _Sent) -> int:
        """In how many waits for its answer, with the last, the hub confirmed others."""
        return sent.left_out + (sent.waits > 0 and self._acks > sent.acks)
