"""What an edge owes its hub waits here, on disk when the call returns, until the hub's word deletes it.

    put ──► row ──► take_due ──► (broker, hub) ──► acknowledge ──► gone
             │          └──► bury ──► dead letter, kept and counted
             └──► no room, too old ──► dropped, counted, its number told to the hub in a row of its own

Under it lies the `outbox_file`. Which alert goes next is decided in `alert_queue`, which clip in `clip_queue`, what
gives way in `room`; what never reaches the hub is on record in `losses`.
"""

from __future__ import annotations

import json
import logging
import math
import threading
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.alert_queue import LONGEST_RESEND_S, STATEMENT, WINDOW, AlertQueue, Row
from detector.alerts.clip_queue import ClipQueue
from detector.alerts.losses import forget_untold, keep_dead, loss_counts, note_untold, torn_rows, untold
from detector.alerts.outbox_file import CorruptFile, OutboxFile, mending
from detector.alerts.room import Room
from detector.clock import Clock, iso
from detector.config import Buffers
from detector.errors import StoreError, WireError
from detector.values import Phase, Severity

logger = logging.getLogger(__name__)

NEWS_S = 60.0  # what was put so shortly before the link came back is as good as new


class Outbox:
    """Everything this edge still owes the hub. Safe to use from several threads; one process at a time.

    Args:
        path: The database file; its folder is made when missing.
        key: Signs the envelopes.
        clock: Tells when an envelope was put and when to send again.
        buffers: How much is kept.

    Attributes:
        clips: The clips and side files among it.
        room: Gives up what is too old or too much.
        new_alert: Set whenever an envelope was put.

    Raises:
        StoreError: Another process has it open, or the file can't be opened.
    """

    def __init__(
        self,
        path: Path,
        key: Ed25519PrivateKey,
        *,
        clock: Clock,
        buffers: Buffers = Buffers(),  # noqa: B008  (frozen)
    ) -> None:
        self._key = key
        self._key_text = wire.public_key_text(key)
        self._vouch_until = {self._key_text.encode(): math.inf}  # keys of this run: the last time that each may name
        self._clock = clock
        self._file = OutboxFile(path, clock)
        self._alerts = AlertQueue(self._file)
        self.clips = ClipQueue(self._file, clock)
        self.room = Room(self._file, self._alerts, self.clips, buffers, clock)
        self.new_alert = threading.Event()
        self._left_open: set[str] | None = None
        self._file.open(self._load, self._bury_torn)

    def use_key(self, key: Ed25519PrivateKey) -> None:
        """Sign with this key from now on; what is here stays signed as it is, unless it names a time still to come."""
        with self._file.locked():
            self._vouch_until[self._key_text.encode()] = self._clock.now()
            self._key, self._key_text = key, wire.public_key_text(key)
            self._vouch_until[self._key_text.encode()] = math.inf

    def close(self) -> None:
        """Close the file; safe to call twice. What is in it stays for the next start."""
        self._file.close()

    # ---- for the pipeline's end

    @mending
    def put(self, fields: Mapping[str, Any], *, is_last: bool = True) -> str:
        """Complete an envelope, sign it and keep it.

        Adds `id`, `epoch`, `seq` (1, 2, 3 … without gaps within an epoch, which lasts as long as the file), `sent_at`,
        `sent_at_unix`, `key` and `signature`.

        Args:
            fields: From `wire.envelope`.
            is_last: Of an `end` envelope, whether nothing follows: else it is among those `left_open` for a later run.

        Returns:
            The envelope's id, once it is safe on disk.

        Raises:
            WireError: The fields can't be written as JSON.
            DiskFull: There is no room for it.
            StoreError: The database can't be written.
        """
        id_ = uuid.uuid4().hex
        with self._file.locked():
            self._put(id_, fields, is_last=is_last)
        self.new_alert.set()
        return id_

    @mending
    def note_clip(self, incident: str, told: Mapping[str, Any]) -> None:
        """A segment of an incident is finished; what ends that in a later run tells of it as well (`left_open`).

        Args:
            incident: Which; one that isn't open, or no incident at all, is passed over.
            told: As in `wire.envelope`.

        Raises:
            StoreError: The database can't be written.
        """
        with self._file.transaction():
            for (known,) in self._file.query("SELECT fields FROM open WHERE incident = ?", (incident,)):
                fields = wire.decode(known)
                others = [one for one in fields["clips"] if one["segment"] != told["segment"]]
                changed = wire.encode({**fields, "clips": [*others, told]})
                self._file.execute("UPDATE open SET fields = ? WHERE incident = ?", (changed, incident))

    @mending
    def counts(self) -> dict[str, Any]:
        """How things stand, for the health message.

        Returns:
            `backlog`: envelopes not confirmed; `backlog_bytes`: their size; `full`: the share of the room that they
            take; `clips`: segments not uploaded; `oldest_s`: age of the oldest envelope, seconds, 0 when there is none;
            `dropped` and `dropped_clips`: ever given up for want of room or for age, and `dropped_by` the same by what,
            reason and severity; `dead`: ever given up for good reason; `set_aside`: corrupt files of an outbox that
            lie beside this one, with what was in them.
        """
        with self._file.locked():
            oldest = self._file.query("SELECT put_at FROM alerts ORDER BY seq LIMIT 1")
            return {
                "backlog": self._alerts.rows,
                "backlog_bytes": self._alerts.bytes,
                "full": round(self.room.full, 4),
                "clips": self.clips.count(),
                "oldest_s": round(max(0.0, self._clock.now() - oldest[0][0]), 1) if oldest else 0.0,
                **loss_counts(self._file),
                "set_aside": len(self._file.files_aside()),
            }

    @mending
    def left_open(self) -> list[dict[str, Any]]:
        """Fields of the last envelope of each incident that an earlier run began and has not ended.

        Without a picture, and with the clips that were finished by then. Where it is an `end`, clips were still to be
        finished.
        """
        with self._file.locked():
            rows = self._file.query("SELECT incident, fields FROM open ORDER BY rowid")
        return [wire.decode(fields) for incident, fields in rows if incident in (self._left_open or ())]

    def wait_drained(self, timeout_s: float, *, clips: bool = True) -> bool:
        """Wait until the hub has every envelope, clip and side file, at most so many seconds; tells whether it has.

        With `clips` false for envelopes alone: there may be no way for the rest.

        Raises:
            StoreError: The database can't be read.
        """
        return self._file.wait_for(lambda: not self._alerts.rows and (not clips or self.clips.is_empty()), timeout_s)

    # ---- for the sender of envelopes

    @mending
    def take_due(
        self, limit: int = WINDOW, most_bytes: float = math.inf, topics: wire.Topics | None = None
    ) -> list[Row]:
        """Envelopes to send now, of so many bytes but for the last; they count as sent from now on.

        Those put since the link came back, or just before, come first; a share is kept for the backlog, which comes
        the gravest first and the oldest of these. Not more than `WINDOW` are in flight. One that was sent is due again
        after 5 s, then after twice that, up to 60 s. One that the hub keeps leaving out while it confirms later ones
        is buried: it won't be taken. What a key of an earlier run signed, or was told under another name than `topics`
        have, goes signed by the key in use, under this name; under that one where the hub has the incident so, or this
        one did not do.
        """
        now = self._clock.now()
        with self._file.locked():
            try:
                for seq in self._alerts.refused(now):
                    self._bury(seq, "the hub never confirmed it")
                self._tell_dropped(now)
            except CorruptFile:
                raise
            except StoreError as error:  # a full disk, say: what lies here can be sent all the same
                logger.debug("no word on dropped alerts can be written: %s", error)
            return [self._vouched_for(row, topics) for row in self._alerts.take_due(limit, now, most_bytes)]

    @mending
    def resend_all(self) -> None:
        """The way to the hub is a new one: everything un-acknowledged is due now, and waited for afresh.

        What is put from now on, or was put in the last minute, is news and doesn't wait for the rest.
        """
        with self._file.locked():
            new_since = self._clock.now() - NEWS_S
            self._alerts.resend_all(new_since)
            self.clips.resend_all(new_since)

    @mending
    def acknowledge(self, ids: list[str]) -> int:
        """The hub has stored these envelopes: forget them.

        Returns:
            How many of them were still here; ids that are unknown do no harm.
        """
        these = "id IN (SELECT value FROM json_each(?))"
        delete = f"DELETE FROM alerts WHERE {these} RETURNING seq, length(payload), incident"  # noqa: S608
        told = "UPDATE stories SET told = 1 WHERE told = 0 AND incident IN (SELECT value FROM json_each(?))"
        with self._file.locked():
            with self._file.transaction():
                gone = self._file.query(delete, (json.dumps(ids),))
                self._file.execute(told, (json.dumps([incident for _, _, incident in gone]),))
            for seq, size, _ in gone:
                self._alerts.gone(seq, size, is_acked=True)
        if gone:
            self.clips.new_clip.set()  # a clip may have waited for its alert
        return len(gone)

    @mending
    def postpone(self, ids: list[str], delay_s: float = LONGEST_RESEND_S) -> None:
        """The hub has these envelopes in hand but can't take them yet: they are due again then, and in nobody's way.

        Each time that they are put off once more while the link lasts, that takes twice as long, up to sixteen times.
        """
        with self._file.locked():
            self._alerts.postpone(ids, self._clock.now(), delay_s)

    @mending
    def still_here(self, ids: Iterable[str]) -> set[str]:
        """Those of these envelopes that are neither confirmed nor given up."""
        with self._file.locked():
            query = "SELECT id FROM alerts WHERE id IN (SELECT value FROM json_each(?))"
            found = self._file.query(query, (json.dumps([*ids]),))
        return {id_ for (id_,) in found}

    @mending
    def bury(self, row: Row, reason: str) -> None:
        """Give an envelope up for good; it is kept as a dead letter."""
        with self._file.locked():
            if self._file.query("SELECT 1 FROM alerts WHERE id = ?", (row.id,)):  # a fresh file numbers anew
                self._bury(row.seq, reason)

    # ---- for who keeps house

    @mending
    def severities(self, incidents: Iterable[str]) -> dict[str, int]:
        """How grave incidents were, 0 to 2, as far as is known."""
        query = "SELECT incident, severity FROM stories WHERE incident IN (SELECT value FROM json_each(?))"
        with self._file.locked():
            return dict(self._file.query(query, (json.dumps(list(incidents)),)))

    @mending
    def tidy(self, held: Iterable[str] = ()) -> None:
        """Forget how grave incidents were of which nothing is left; `held` are those that have files.

        Raises:
            StoreError: The database can't be written.
        """
        with self._file.transaction():
            self._file.execute(
                """DELETE FROM stories WHERE put_at < ? AND incident NOT IN (SELECT value FROM json_each(?))
                AND NOT EXISTS (SELECT 1 FROM open WHERE open.incident = stories.incident)
                AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.incident = stories.incident)
                AND NOT EXISTS (SELECT 1 FROM clips WHERE clips.incident = stories.incident)
                AND NOT EXISTS (SELECT 1 FROM sides WHERE sides.incident = stories.incident)""",
                (self._clock.now() - 3600, json.dumps(list(held))),
            )

    # ---- inside

    def _load(self) -> None:
        """The file was opened."""
        is_open = {incident for (incident,) in self._file.query("SELECT incident FROM open")}
        # Opened again during a run, it holds what this run began as well.
        self._left_open = is_open if self._left_open is None else self._left_open & is_open
        self._alerts.load()
        self.clips.load()

    def _bury_torn(self) -> None:
        """Make dead letters of the rows that can't be read, so that they hold up no other."""
        with self._file.transaction():
            for row in torn_rows(self._file):
                self._file.execute(f"DELETE FROM {row.table} WHERE rowid = ?", (row.rowid,))  # noqa: S608
                keep_dead(self._file, row.what, row.name, "not valid text", self._clock.now(), row.content)
                if row.table == "alerts":
                    note_untold(self._file, row.rowid, "dead")
                logger.error("%s %s is given up: it is not valid text", row.what, row.name)

    def _put(self, id_: str, fields: Mapping[str, Any], *, is_last: bool) -> None:
        now = self._clock.now()
        self.room.report_recovery()  # it reads: after the commit nothing may fail
        with self._file.transaction():
            incident, rank = str(fields["after"]["id"]), Severity(fields["after"]["severity"]).rank
            seq, size = self._add(id_, now, fields, incident, rank)
            self._note_story(incident, rank, now)
            self._note_owner(fields)
            self._note_open(incident, fields, is_last=is_last)
            given = self.room.make_for(size)
        self._added(seq, size)
        self.room.settle(given)

    def _add(self, id_: str, now: float, fields: Mapping[str, Any], incident: str, rank: int) -> tuple[int, int]:
        """Number an envelope, sign it and insert it, inside the caller's transaction; its number and size in bytes."""
        seq = self._file.next_number()
        payload = self._payload(id_, seq, now, fields)
        row = (seq, id_, incident, rank, payload, now, str(fields.get("phase", "")))
        self._file.execute("INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return seq, len(payload)

    def _added(self, seq: int, size: int) -> None:
        """What was added has been committed."""
        self._file.note_given(seq)
        self._alerts.added(size)

    def _vouched_for(self, row: Row, topics: wire.Topics | None) -> Row:
        """A row as the hub believes it, where it was told by a key, or under a name, that a run of before left behind.

        A box that was shut out and joined again, with a new key, still owes its hub what it saw meanwhile; so does one
        that has joined under another name. An incident that the hub has under the other stays so, and the key that the
        box has kept tells whose it is; but the hub may be another one, or its word that it has it may be lost: tried
        again, each goes under the other name.

        What was signed before a change within this run stays (`rotation`): the hub believes the old key up to the first
        time that it hears of the new one, which an older alert, signed anew, would make an older time. But where the
        clock was put back, an alert may name a later time than the change, and goes signed by the new key.
        """
        name = {} if topics is None else {"site": topics.site, "edge": topics.edge}
        is_named_so = all(f'"{field}":"{value}"'.encode() in row.payload for field, value in name.items())
        is_signed_so = any(
            key in row.payload and (until == math.inf or wire.decode(row.payload)["sent_at_unix"] <= until)
            for key, until in self._vouch_until.items()
        )
        if is_named_so and is_signed_so:
            return row
        if not is_named_so and self._keeps_its_name(row):
            if is_signed_so:
                return row
            name = {}
        try:
            return replace(row, payload=wire.told_as(name, row.payload, self._key))
        except WireError:
            return row

    def _keeps_its_name(self, row: Row) -> bool:
        """Whether this try goes under the name it was told by: as the hub has it, and each second try the other way."""
        told = "SELECT 1 FROM stories JOIN alerts USING (incident) WHERE seq = ? AND told = 1"
        is_known_so = bool(self._file.query(told, (row.seq,)))
        return is_known_so if row.attempts % 2 == 0 else not is_known_so

    def _payload(self, id_: str, seq: int, now: float, fields: Mapping[str, Any]) -> bytes:
        whole = {
            **fields,
            "id": id_,
            "epoch": self._file.meta("epoch"),
            "seq": seq,
            "sent_at": iso(now),
            "sent_at_unix": round(now, 3),
            "key": self._key_text,
        }
        try:
            # Signed as the hub will see it: JSON turns tuples and number keys into other things.
            return wire.encode(wire.signed(wire.decode(wire.encode(whole)), self._key))
        except (TypeError, ValueError) as error:
            raise WireError(f"the envelope can't be written as JSON: {error}") from error

    def _note_story(self, incident: str, rank: int, now: float) -> None:
        """Remember how grave an incident is by now; all of its envelopes wait as what it is."""
        self._file.execute(
            """INSERT INTO stories (incident, severity, put_at) VALUES (?, ?, ?)
            ON CONFLICT (incident) DO UPDATE SET severity = MAX(severity, excluded.severity)""",
            (incident, rank, now),
        )
        self._file.execute(
            """UPDATE alerts SET severity = (SELECT severity FROM stories WHERE incident = :incident)
            WHERE incident = :incident
            AND severity <> (SELECT severity FROM stories WHERE incident = :incident)""",
            {"incident": incident},
        )

    def _note_owner(self, fields: Mapping[str, Any]) -> None:
        owner = json.dumps((str(fields["site"]), str(fields["edge"])))
        if owner != self._file.meta("owner"):
            self._file.set_meta("owner", owner)

    def _note_open(self, incident: str, fields: Mapping[str, Any], *, is_last: bool) -> None:
        """Remember, within the caller's transaction, which incidents have no end yet, or lack clips in it."""
        is_end = fields.get("phase") == Phase.END
        if is_end and is_last:
            self._file.execute("DELETE FROM open WHERE incident = ?", (incident,))
            return
        before = self._file.query("SELECT fields FROM open WHERE incident = ?", (incident,)) if not is_end else ()
        clips = wire.decode(before[0][0])["clips"] if before else fields["clips"]
        known = wire.encode({**fields, "snapshot": None, "clips": clips})
        self._file.execute("INSERT OR REPLACE INTO open VALUES (?, ?)", (incident, known))

    def _tell_dropped(self, now: float) -> None:
        """Make a row of the numbers that the hub doesn't know of yet, one at a time, where there are any."""
        ranges, owner = untold(self._file), self._file.meta("owner")
        if not ranges or not owner:
            return
        if self._file.query("SELECT 1 FROM alerts WHERE severity = ? LIMIT 1", (STATEMENT,)):
            return
        site, edge = json.loads(owner)
        with self._file.transaction():
            seq, size = self._add(uuid.uuid4().hex, now, wire.dropped_fields(site, edge, ranges), "", STATEMENT)
            forget_untold(self._file, ranges)
        self._added(seq, size)

    def _bury(self, seq: int, reason: str) -> None:
        delete = "DELETE FROM alerts WHERE seq = ? RETURNING id, payload, severity"
        with self._file.transaction():
            gone = self._file.execute(delete, (seq,)).fetchone()
            if gone is None:
                return
            id_, payload, severity = gone
            keep_dead(self._file, "alert", id_, reason, self._clock.now(), payload)
            if severity != STATEMENT:  # a hub older than such words takes none
                note_untold(self._file, seq, "dead")
        self._alerts.gone(seq, len(payload))
        logger.error("alert %s is given up: %s", id_, reason)
