"""Envelopes and clips come in and are on disk when the call returns; the senders take them out, the hub's word deletes.

SQLite in WAL mode with `synchronous=FULL`: what `put` returned for survives power loss. What was sent and when to send
it again is kept in memory only, since everything un-acknowledged is sent anew after a restart or a reconnect anyway;
so sending costs no fsync.

    put ──► row ──► take_due ──► (broker, hub) ──► acknowledge ──► gone
             │          └──► bury ──► dead letter, kept and counted
             └──► no room, too old ──► dropped, counted, its number told to the hub in a row of its own

What is put while there is a link goes to the hub at once, whatever waits from before; that follows, the gravest first,
and has a share of the way that nothing takes from it.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.alerts.room import STATEMENT, Given, drop_older, make_room
from detector.clock import Clock, iso
from detector.config import Buffers
from detector.errors import StoreError, WireError
from detector.values import Phase, Severity

logger = logging.getLogger(__name__)

WINDOW = 100  # rows in flight at most
SHARE = 25  # of them, kept free for what is new while there is a backlog, and for the backlog while there is news
NEWS_S = 60.0  # what was put so shortly before the link came back is as good as new
CLIPS_BETWEEN = 3  # so many clips of new alerts go before one of the backlog, and so on
FIRST_RESEND_S = 5.0
LONGEST_RESEND_S = 60.0
# With the resend times above this is ten minutes of silence about one row while the hub confirms later ones.
ATTEMPTS_BEFORE_BURIAL = 14
ASIDE = ".corrupt-"
ASIDE_KEPT = 3  # of the files set aside; older ones are emptied, their names stay and are counted
DEAD_KEPT = 1000
DEAD_BYTES = 64 * 2**20
ROOM_AGAIN = 0.9  # below this share of the limits there is room again
RANGES_AT_ONCE = 500  # dropped numbers told to the hub in one row
CLOCK_UNSET = 1_577_836_800.0  # the year 2020: a time before it was told by a clock that wasn't set
BELIEVED_AFTER_S = 86400.0  # a clock that leapt must have gone on for so long before anything is too old by it
ODD_LEAP_S, EVERYDAY_STEP_S = 3 * 86400.0, 60.0

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alerts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, incident TEXT NOT NULL, severity INTEGER NOT NULL,
    payload BLOB NOT NULL, put_at REAL NOT NULL, phase TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS stories (
    incident TEXT PRIMARY KEY, severity INTEGER NOT NULL, told INTEGER NOT NULL DEFAULT 0, put_at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS clips (
    incident TEXT NOT NULL, segment INTEGER NOT NULL, camera TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, started_at REAL NOT NULL, duration_s REAL NOT NULL, put_at REAL NOT NULL,
    PRIMARY KEY (incident, segment));
CREATE TABLE IF NOT EXISTS sides (
    incident TEXT NOT NULL, segment INTEGER NOT NULL, camera TEXT NOT NULL, path TEXT NOT NULL, sha256 TEXT NOT NULL,
    size INTEGER NOT NULL, started_at REAL NOT NULL, duration_s REAL NOT NULL, put_at REAL NOT NULL,
    PRIMARY KEY (incident, segment));
CREATE TABLE IF NOT EXISTS open (incident TEXT PRIMARY KEY, fields BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS dead (
    what TEXT NOT NULL, id TEXT NOT NULL, reason TEXT NOT NULL, at REAL NOT NULL, content BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS untold (first INTEGER PRIMARY KEY, last INTEGER NOT NULL, reason TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS dropped (
    what TEXT NOT NULL, reason TEXT NOT NULL, severity INTEGER NOT NULL, n INTEGER NOT NULL,
    PRIMARY KEY (what, reason, severity));
"""
# What an outbox of an older version lacks.
PHASES = """ALTER TABLE alerts ADD COLUMN phase TEXT NOT NULL DEFAULT '';
UPDATE alerts SET phase = COALESCE(json_extract(CAST(payload AS TEXT), '$.phase'), '');
INSERT OR IGNORE INTO stories
    SELECT incident, MAX(severity), 1, MIN(put_at) FROM alerts GROUP BY incident;
UPDATE alerts SET severity = (SELECT severity FROM stories WHERE stories.incident = alerts.incident);
"""
INDEXES = """CREATE INDEX IF NOT EXISTS alerts_by_severity ON alerts (severity, seq);
DROP INDEX IF EXISTS alerts_by_incident;
CREATE INDEX IF NOT EXISTS alerts_of_incident ON alerts (incident, severity, seq, put_at);
CREATE INDEX IF NOT EXISTS alerts_updates ON alerts (severity, seq) WHERE phase = 'update';
INSERT OR IGNORE INTO meta SELECT 'dead', COUNT(*) FROM dead;
INSERT OR IGNORE INTO dropped SELECT 'alert', 'rows', 0, CAST(value AS INTEGER) FROM meta
    WHERE name = 'dropped' AND CAST(value AS INTEGER) > 0;
DELETE FROM meta WHERE name = 'dropped';
"""
# The gravest first, then the oldest; what is new apart from what waited while there was no link.
_DUE = """SELECT {0}.incident, segment, camera, path, sha256, size, started_at, duration_s FROM {0}
    LEFT JOIN stories ON stories.incident = {0}.incident
    WHERE {0}.put_at {2} ? AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.incident = {0}.incident) {1}
    ORDER BY COALESCE(stories.severity, 0) DESC, {0}.put_at, segment"""
_ALONE = "AND NOT EXISTS (SELECT 1 FROM clips WHERE clips.incident = sides.incident AND clips.segment = sides.segment)"
DUE = {
    (what, is_new): _DUE.format(table, more, ">=" if is_new else "<")
    for what, table, more in ((None, "clips", ""), (wire.SIDE, "sides", _ALONE))
    for is_new in (True, False)
}


class DiskFull(StoreError):  # noqa: N818  (named like the rest of errors.py)
    """There is no room left on the disk of the outbox."""


@dataclass(frozen=True, slots=True)
class Row:
    """An envelope to send; `payload` is what goes over the wire, `attempts` how often it went before."""

    seq: int
    id: str
    payload: bytes
    attempts: int


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip segment to upload, or its side file: `what` is `wire.SIDE`. `size` in bytes, `started_at` Unix seconds."""

    incident: str
    segment: int
    camera: str
    path: Path
    sha256: str
    size: int
    started_at: float
    duration_s: float
    what: str | None = None

    @property
    def name(self) -> str:
        """For people and for dead letters."""
        name = f"{self.incident}/{self.segment}"
        return name if self.what is None else f"{name}/{self.what}"

    @property
    def key(self) -> tuple[str, int, str | None]:
        """What tells it from all others."""
        return self.incident, self.segment, self.what


@dataclass(slots=True)
class _Sent:
    """How often a thing was sent, how often of these its answer was waited for in vain, and when to send it again."""

    attempts: int
    due_at: float
    waits: int = 0
    is_early: bool = False  # the hub has asked for it later: it is no more under way


class Outbox:
    """Everything this edge still owes the hub. Safe to use from several threads; one process at a time.

    Args:
        path: The database file; its folder is made when missing.
        key: Signs the envelopes.
        clock: Tells when an envelope was put and when to send again.
        buffers: How much is kept; see `room` for what gives way.

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
        self._path = path
        self._key = key
        self._key_text = wire.public_key_text(key)
        self._clock = clock
        self._buffers = buffers
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._sent: dict[int, _Sent] = {}
        self._tried: dict[tuple[str, int, str | None], _Sent] = {}
        self._highest_acked = 0
        self._dropping = False
        self._owner: tuple[str, str] | None = None
        self._new_since = clock.now()
        self._clips_in_turn = 0
        self._left_open: set[str] = set()
        self.new_alert = threading.Event()
        self.new_clip = threading.Event()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._guard = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"the outbox {path} can't be opened: {error.strerror}") from error
        try:
            try:
                fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise StoreError(f"the outbox {path} is in use by another process") from error
            self._open_or_set_aside()
        except StoreError:
            os.close(self._guard)
            raise

    def use_key(self, key: Ed25519PrivateKey) -> None:
        """Sign with this key from now on; what is here already stays signed as it is."""
        with self._lock:
            self._key, self._key_text = key, wire.public_key_text(key)

    # ---- for the pipeline's end

    def put(self, fields: Mapping[str, Any]) -> str:
        """Complete an envelope, sign it and keep it.

        Adds `id`, `epoch`, `seq` (1, 2, 3 … without gaps within an epoch, which lasts as long as the file), `sent_at`,
        `sent_at_unix`, `key` and `signature`.

        Args:
            fields: From `wire.envelope`.

        Returns:
            The envelope's id, once it is safe on disk.

        Raises:
            WireError: The fields can't be written as JSON.
            DiskFull: There is no room for it.
            StoreError: The database can't be written.
        """
        id_ = uuid.uuid4().hex
        with self._named_errors():
            try:
                self._insert(id_, fields)
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
                self._set_aside(error)
                self._insert(id_, fields)
            self._changed.notify_all()
        self.new_alert.set()
        return id_

    def put_clip(
        self,
        incident_id: str,
        segment: int,
        path: Path,
        sha256: str,
        size: int,
        started_at: float,
        duration_s: float,
        camera: str,
        what: str | None = None,
    ) -> None:
        """Keep a clip segment, or its side file, for upload; the file stays where it is until the hub has it.

        Args:
            incident_id: The incident that it shows.
            segment: Its number, from 0.
            path: The file.
            sha256: Of the file, lower-case hex.
            size: Of the file, bytes.
            started_at: Unix seconds of the first picture.
            duration_s: Length, seconds.
            camera: Camera name.
            what: `wire.SIDE` for the side file; left out for the clip.

        Raises:
            DiskFull: There is no room for it.
            StoreError: The database can't be written.
        """
        row = (incident_id, segment, camera, str(path), sha256, size, started_at, duration_s, self._clock.now())
        with self._transaction() as db:
            db.execute(f"INSERT OR REPLACE INTO {_table(what)} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
            self._tried.pop((incident_id, segment, what), None)
            self._changed.notify_all()
        self.new_clip.set()

    def counts(self) -> dict[str, Any]:
        """How things stand, for the health message.

        Returns:
            `backlog`: envelopes not confirmed; `backlog_bytes`: their size; `full`: the share of the room that they
            take; `clips`: segments not uploaded; `oldest_s`: age of the oldest envelope, seconds, 0 when there is none;
            `dropped` and `dropped_clips`: ever given up for want of room or for age, and `dropped_by` the same by what,
            reason and severity; `dead`: ever given up for good reason; `set_aside`: corrupt files of an outbox that
            lie beside this one, with what was in them.
        """
        with self._named_errors():
            dropped = self._query("SELECT what, reason, severity, n FROM dropped ORDER BY what, reason, severity")
            by: dict[str, dict[str, dict[str, int]]] = {}
            for what, reason, severity, n in dropped:
                by.setdefault(what, {}).setdefault(reason, {})[_severity_name(severity)] = n
            return {
                "backlog": self._rows,
                "backlog_bytes": self._bytes,
                "full": round(self._full(), 4),
                "clips": self._one("SELECT COUNT(*) FROM clips"),
                "oldest_s": round(max(0.0, self._clock.now() - self._oldest()), 1) if self._rows else 0.0,
                "dropped": sum(n for what, _, _, n in dropped if what == "alert"),
                "dropped_clips": sum(n for what, _, _, n in dropped if what == "clip"),
                "dropped_by": by,
                "dead": int(self._meta("dead")),
                "set_aside": len(self._set_aside_files()),
            }

    def left_open(self) -> list[dict[str, Any]]:
        """Fields of the last envelope of each incident that an earlier run began and has not ended, no picture."""
        with self._named_errors():
            rows = self._query("SELECT incident, fields FROM open ORDER BY rowid")
        return [wire.decode(fields) for incident, fields in rows if incident in self._left_open]

    def wait_drained(self, timeout_s: float) -> bool:
        """Wait until the hub has every envelope, clip and side file, at most so many seconds; tells whether it has.

        Raises:
            StoreError: The database can't be read.
        """
        with self._changed:
            return self._changed.wait_for(self._is_empty, timeout_s)

    def close(self) -> None:
        """Close the file; safe to call twice. What is in it stays for the next start."""
        with self._lock:
            if self._guard >= 0:
                self._db.close()
                os.close(self._guard)
                self._guard = -1

    # ---- for the sender of envelopes

    def take_due(self, limit: int = WINDOW) -> list[Row]:
        """Envelopes to send now; they count as sent from now on.

        Those put since the link came back, or just before, come first; a share is kept for the backlog, which comes
        the gravest first and the oldest of these. Not more than `WINDOW` are in flight. One that was sent is due again
        after 5 s, then after twice that, up to 60 s. One that the hub keeps leaving out while it confirms later ones
        is buried: it won't be taken.
        """
        now = self._clock.now()
        with self._named_errors():
            late = sorted(seq for seq, sent in self._sent.items() if sent.due_at <= now)
            for seq in [s for s in late if self._is_refused(s)]:
                late.remove(seq)
                self._bury_alert(seq, "the hub never confirmed it")
            self._tell_dropped(now)
            new_from = self._new_from
            waiting = self._backlog(new_from)
            in_flight = sum(not sent.is_early for sent in self._sent.values())
            old_in_flight = sum(seq < new_from and not sent.is_early for seq, sent in self._sent.items())
            room = min(limit - len(late), WINDOW - in_flight)
            waiting = [seq for seq in waiting if seq not in self._sent]
            for_old = max(SHARE - old_in_flight, room // 4, 1) if waiting else 0
            news = self._unsent_news(new_from, room - min(for_old, room // 2))
            old = waiting[: max(0, min(room - len(news), WINDOW - SHARE - old_in_flight))]
            again = [seq for seq in late if seq >= new_from], [seq for seq in late if seq < new_from]
            chosen = [*again[0], *news, *again[1], *old][: max(limit, 0)]
            query = "SELECT alerts.seq, alerts.id, payload FROM json_each(?) JOIN alerts ON seq = value ORDER BY key"
            found = self._query(query, (json.dumps(chosen),))
            # Marked as sent only now: had reading failed, none of them would have been.
            return [self._send(seq, id_, payload, now) for seq, id_, payload in found]

    def resend_all(self) -> None:
        """The way to the hub is a new one: everything un-acknowledged is due now, and waited for afresh.

        What is put from now on, or was put in the last minute, is news and doesn't wait for the rest.
        """
        with self._named_errors():
            self._new_since = self._clock.now() - NEWS_S
            self._new_from = self._first_since(self._new_since)
            for sent in self._sent.values():
                sent.due_at, sent.waits = 0.0, 0
            for tried in self._tried.values():
                tried.due_at = 0.0
        self.new_clip.set()

    def acknowledge(self, ids: list[str]) -> int:
        """The hub has stored these envelopes: forget them.

        Returns:
            How many of them were still here; ids that are unknown do no harm.
        """
        these = "id IN (SELECT value FROM json_each(?))"
        delete = f"DELETE FROM alerts WHERE {these} RETURNING seq, length(payload), incident"  # noqa: S608
        told = "UPDATE stories SET told = 1 WHERE told = 0 AND incident IN (SELECT value FROM json_each(?))"
        with self._lock:
            with self._transaction() as db:
                gone = db.execute(delete, (json.dumps(ids),)).fetchall()
                db.execute(told, (json.dumps([incident for _, _, incident in gone]),))
            for seq, size, _ in gone:
                self._forget(seq, size)
                self._highest_acked = max(self._highest_acked, seq)
            self._changed.notify_all()
        if gone:
            self.new_clip.set()  # a clip may have waited for its alert
        return len(gone)

    def postpone(self, ids: list[str], delay_s: float = LONGEST_RESEND_S) -> None:
        """The hub has these envelopes in hand but can't take them yet: they are due again then, and in nobody's way."""
        with self._named_errors():
            query = "SELECT seq FROM json_each(?) JOIN alerts ON alerts.id = value"
            for (seq,) in self._query(query, (json.dumps(ids),)):
                if seq in self._sent:
                    self._sent[seq] = _Sent(self._sent[seq].attempts, self._clock.now() + delay_s, is_early=True)

    def bury(self, row: Row, reason: str) -> None:
        """Give an envelope up for good; it is kept as a dead letter."""
        with self._lock:
            self._bury_alert(row.seq, reason)

    # ---- for the sender of clips

    def next_clip(self) -> Clip | None:
        """A clip that is due and whose incident has no envelope waiting; `None` when there is none.

        Those of new alerts come first, but every fourth is of the backlog: of each the gravest first, then the oldest.
        Where no clip is, a side file that is due, and whose clip isn't waiting either, likewise.
        """
        with self._named_errors():
            for what in (None, wire.SIDE):
                is_turn_of_old = self._clips_in_turn >= CLIPS_BETWEEN
                for is_new in (not is_turn_of_old, is_turn_of_old):
                    clip = self._first_due(what, is_new=is_new)
                    if clip is not None:
                        self._clips_in_turn = self._clips_in_turn + 1 if is_new else 0
                        return clip
        return None

    def _first_due(self, what: str | None, *, is_new: bool) -> Clip | None:
        now = self._clock.now()
        rows = self._db.execute(DUE[what, is_new], (self._new_since,))
        for incident, segment, camera, path, sha256, size, started_at, duration_s in rows:
            tried = self._tried.get((incident, segment, what))
            if tried is None or tried.due_at <= now:
                return Clip(incident, segment, camera, Path(path), sha256, size, started_at, duration_s, what)
        return None

    def postpone_clip(self, clip: Clip, delay_s: float) -> None:
        """An upload failed: it is due again after so many seconds."""
        with self._lock:
            attempts = self.clip_attempts(clip)
            self._tried[clip.key] = _Sent(attempts + 1, self._clock.now() + delay_s)

    def clip_attempts(self, clip: Clip) -> int:
        """How often its upload failed since the start."""
        with self._lock:
            tried = self._tried.get(clip.key)
            return tried.attempts if tried else 0

    def clip_done(self, clip: Clip) -> None:
        """The hub has the clip: forget it."""
        self._remove_clip(clip, None)

    def bury_clip(self, clip: Clip, reason: str) -> None:
        """Give a clip up for good; its file stays, its row becomes a dead letter."""
        self._remove_clip(clip, reason)
        logger.error("clip %s is given up: %s", clip.name, reason)

    # ---- for who keeps house

    def drop_old(self) -> int:
        """Give up incidents older than they are to become; returns how many envelopes went.

        Age is by the wall clock. One that leapt since the last call must have gone on for a day before it is believed:
        a box without a battery starts somewhere else in time until it finds a time server.

        Raises:
            StoreError: The database can't be read or written.
        """
        now = self._clock.now()
        with self._lock:
            with self._transaction() as db:
                believed = self._is_clock_believed(now)
                given = drop_older(db, now - self._buffers.alert_days * 86400, CLOCK_UNSET) if believed else Given()
                files = self._drop_rows(given, "age")
            self._settle_drops(given, files, "age")
        return len(given.alerts)

    def drop_for_disk(self, size: int) -> int:
        """Give up envelopes of so many bytes, since the disk is full: the file grows no more. Returns how many went.

        Raises:
            StoreError: The database can't be read or written.
        """
        with self._lock:
            with self._transaction() as db:
                given = make_room(db, self._sent, lambda given: given.size >= size)
                files = self._drop_rows(given, "disk")
            self._settle_drops(given, files, "disk")
        return len(given.alerts)

    def free_bytes(self) -> int:
        """Room inside the file that the next envelopes take before it grows."""
        with self._named_errors():
            return self._one("PRAGMA freelist_count") * self._one("PRAGMA page_size")

    def severities(self, incidents: Iterable[str]) -> dict[str, int]:
        """How grave incidents were, 0 to 2, as far as is known."""
        query = "SELECT incident, severity FROM stories WHERE incident IN (SELECT value FROM json_each(?))"
        with self._named_errors():
            return dict(self._query(query, (json.dumps(list(incidents)),)))

    def forget_files(self, dropped: Mapping[Path, int], reason: str) -> None:
        """Clips and side files were deleted for want of room or for age: nothing waits for them, clips are counted.

        Args:
            dropped: Their paths, with how grave their incident was.
            reason: `bytes`, `age` or `disk`.

        Raises:
            StoreError: The database can't be written.
        """
        names = json.dumps([str(path) for path in dropped])
        with self._transaction() as db:
            for table in ("clips", "sides"):
                db.execute(f"DELETE FROM {table} WHERE path IN (SELECT value FROM json_each(?))", (names,))  # noqa: S608
            for path, severity in dropped.items():
                if path.suffix != ".gz":
                    self._count_dropped("clip", reason, severity, 1)
            self._changed.notify_all()

    def tidy(self, held: Iterable[str] = ()) -> None:
        """Forget how grave incidents were of which nothing is left; `held` are those that have files.

        Raises:
            StoreError: The database can't be written.
        """
        with self._transaction() as db:
            db.execute(
                """DELETE FROM stories WHERE put_at < ? AND incident NOT IN (SELECT value FROM json_each(?))
                AND NOT EXISTS (SELECT 1 FROM open WHERE open.incident = stories.incident)
                AND NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.incident = stories.incident)
                AND NOT EXISTS (SELECT 1 FROM clips WHERE clips.incident = stories.incident)
                AND NOT EXISTS (SELECT 1 FROM sides WHERE sides.incident = stories.incident)""",
                (self._clock.now() - 3600, json.dumps(list(held))),
            )

    # ---- inside

    def _open_or_set_aside(self) -> None:
        with self._named_errors():
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                if not _is_corrupt(error):
                    raise
                self._set_aside(error)

    def _open(self) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise _corrupt(found)
            self._db.executescript(SCHEMA)
            if "phase" not in {row[1] for row in self._query("PRAGMA table_info(alerts)")}:
                self._db.executescript(f"BEGIN; {PHASES} COMMIT;")
            self._db.executescript(INDEXES)
            first = {"epoch": uuid.uuid4().hex, "last_seq": "0"}
            self._db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", first.items())
            self._left_open = {incident for (incident,) in self._query("SELECT incident FROM open")}
            self._rows = self._one("SELECT COUNT(*) FROM alerts")
            self._bytes = self._one("SELECT COALESCE(SUM(length(payload)), 0) FROM alerts")
            owner = self._query("SELECT value FROM meta WHERE name = 'owner'")
            self._owner = tuple(json.loads(owner[0][0])) if owner else None
            self._new_from = int(self._meta("last_seq")) + 1
            self._new_since = self._clock.now()
        except sqlite3.DatabaseError:
            self._db.close()
            raise

    def _set_aside(self, cause: sqlite3.DatabaseError) -> None:
        """Begin a new file, keep the broken one: an edge that can't tell of the next sweep is worse than a lost row."""
        self._db.close()
        stamp = iso(self._clock.now()).replace(":", "").replace(".", "")
        for suffix in ("", "-wal", "-shm"):
            part = self._path.with_name(self._path.name + suffix)
            if part.exists():
                part.rename(self._path.with_name(f"{self._path.name}{ASIDE}{stamp}{suffix}"))
        logger.error("the outbox %s is corrupt (%s); it is set aside as %s%s", self._path, cause, ASIDE, stamp)
        for old in self._set_aside_files()[:-ASIDE_KEPT]:
            for suffix in ("-wal", "-shm"):
                old.with_name(old.name + suffix).unlink(missing_ok=True)
            os.truncate(old, 0)
        self._sent.clear()
        self._tried.clear()
        self._highest_acked = 0  # numbers begin anew
        self._open()

    def _insert(self, id_: str, fields: Mapping[str, Any]) -> None:
        now = self._clock.now()
        before = self._rows, self._bytes
        self._db.execute("BEGIN IMMEDIATE")
        try:
            seq = int(self._meta("last_seq")) + 1
            payload = self._payload(id_, seq, now, fields)
            self._db.execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", (str(seq),))
            incident, rank = str(fields["after"]["id"]), Severity(fields["after"]["severity"]).rank
            row = (seq, id_, incident, rank, payload, now, str(fields.get("phase", "")))
            self._db.execute("INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            self._note_story(incident, rank, now)
            self._note_owner(fields)
            self._note_open(fields)
            self._rows += 1
            self._bytes += len(payload)
            given, reason, files = self._make_room()
            self._db.execute("COMMIT")
        except BaseException:
            self._rows, self._bytes = before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        self._settle_drops(given, files, reason)
        if self._dropping and self._full() < ROOM_AGAIN:
            self._dropping = False
            logger.warning("the outbox has room again; dropped so far: %s", self.counts()["dropped"])

    def _payload(self, id_: str, seq: int, now: float, fields: Mapping[str, Any]) -> bytes:
        whole = {
            **fields,
            "id": id_,
            "epoch": self._meta("epoch"),
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
        self._db.execute(
            """INSERT INTO stories (incident, severity, put_at) VALUES (?, ?, ?)
            ON CONFLICT (incident) DO UPDATE SET severity = MAX(severity, excluded.severity)""",
            (incident, rank, now),
        )
        self._db.execute(
            """UPDATE alerts SET severity = (SELECT severity FROM stories WHERE incident = :incident)
            WHERE incident = :incident
            AND severity <> (SELECT severity FROM stories WHERE incident = :incident)""",
            {"incident": incident},
        )

    def _note_owner(self, fields: Mapping[str, Any]) -> None:
        owner = str(fields["site"]), str(fields["edge"])
        if owner != self._owner:
            self._db.execute("INSERT OR REPLACE INTO meta VALUES ('owner', ?)", (json.dumps(owner),))
            self._owner = owner

    def _note_open(self, fields: Mapping[str, Any]) -> None:
        """Remember, within the caller's transaction, which incidents have no end yet."""
        incident = str(fields["after"]["id"])
        if fields.get("phase") == Phase.END:
            self._db.execute("DELETE FROM open WHERE incident = ?", (incident,))
        else:
            known = wire.encode({**fields, "snapshot": None})
            self._db.execute("INSERT OR REPLACE INTO open VALUES (?, ?)", (incident, known))

    def _make_room(self) -> tuple[Given, str, dict[Path, int]]:
        """Drop what exceeds the limits, inside the caller's transaction, and for which limit; files that go with it."""
        rows, size = self._buffers.alert_rows, self._buffers.alert_mb * 2**20
        reason = "rows" if self._rows > rows else "bytes"
        given = Given()
        if self._rows > rows or self._bytes > size:
            # A hundredth more than must be, so that not every envelope has to look for what goes.
            rows, size = rows - rows // 100, size - size // 100
            before = self._rows, self._bytes
            given = make_room(
                self._db,
                self._sent,
                lambda given: before[0] - len(given.alerts) <= rows and before[1] - given.size <= size,
            )
        return given, reason, self._drop_rows(given, reason)

    def _is_clock_believed(self, now: float) -> bool:
        """Whether things may be too old by the clock; inside the caller's transaction."""
        before, believed_from = self._number("looked_at", now), self._number("believed_from", 0.0)
        if not -EVERYDAY_STEP_S < now - before < ODD_LEAP_S:
            believed_from = now + BELIEVED_AFTER_S
        for name, value in (("looked_at", now), ("believed_from", believed_from)):
            self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, repr(value)))
        return now >= believed_from

    def _drop_rows(self, given: Given, reason: str) -> dict[Path, int]:
        """Put on record, inside the caller's transaction, what was dropped; clips and side files that go with it."""
        for seq, severity, _ in given.alerts:
            self._count_dropped("alert", reason, severity, 1)
            self._note_untold(seq, reason)
        files: dict[Path, int] = {}
        names = json.dumps(given.incidents)
        for table, what in (("clips", "clip"), ("sides", "side")):
            delete = f"DELETE FROM {table} WHERE incident IN (SELECT value FROM json_each(?)) RETURNING path, incident"  # noqa: S608
            for path, incident in self._db.execute(delete, (names,)).fetchall() if given.incidents else ():
                found = self._query("SELECT severity FROM stories WHERE incident = ?", (incident,))
                files[Path(path)] = found[0][0] if found else 0
                if what == "clip":
                    self._count_dropped("clip", reason, files[Path(path)], 1)
        return files

    def _settle_drops(self, given: Given, files: Iterable[Path], reason: str) -> None:
        """After the commit: what was dropped is forgotten, and said."""
        for seq, _, size in given.alerts:
            self._forget(seq, size)
        for path in files:
            with suppress(OSError):  # who looks after the folder of clips finds it there
                path.unlink(missing_ok=True)
        if given.alerts:
            self._changed.notify_all()
            if not self._dropping:
                logger.error("the outbox gives alerts up (%s): notes first, the oldest of them first", reason)
            self._dropping = True

    def _count_dropped(self, what: str, reason: str, severity: int, n: int) -> None:
        self._db.execute(
            """INSERT INTO dropped VALUES (?, ?, ?, ?)
            ON CONFLICT (what, reason, severity) DO UPDATE SET n = n + excluded.n""",
            (what, reason, severity, n),
        )

    def _note_untold(self, seq: int, reason: str) -> None:
        """The hub is to be told of a number that will never come; neighbours become one range."""
        first, last = seq, seq
        before = self._query("SELECT first FROM untold WHERE last = ? AND reason = ?", (seq - 1, reason))
        if before:
            first = before[0][0]
        after = self._query("SELECT last FROM untold WHERE first = ? AND reason = ?", (seq + 1, reason))
        if after:
            last = after[0][0]
            self._db.execute("DELETE FROM untold WHERE first = ?", (seq + 1,))
        self._db.execute("INSERT OR REPLACE INTO untold VALUES (?, ?, ?)", (first, last, reason))

    def _tell_dropped(self, now: float) -> None:
        """Make a row of the numbers that the hub doesn't know of yet, one at a time, where there are any."""
        ranges = self._query("SELECT first, last, reason FROM untold ORDER BY first LIMIT ?", (RANGES_AT_ONCE,))
        if not ranges or self._owner is None:
            return
        if self._query("SELECT 1 FROM alerts WHERE severity = ? LIMIT 1", (STATEMENT,)):
            return
        with self._transaction() as db:
            seq, id_ = int(self._meta("last_seq")) + 1, uuid.uuid4().hex
            payload = self._payload(id_, seq, now, wire.dropped_fields(*self._owner, ranges))
            db.execute("UPDATE meta SET value = ? WHERE name = 'last_seq'", (str(seq),))
            db.execute("INSERT INTO alerts VALUES (?, ?, '', ?, ?, ?, '')", (seq, id_, STATEMENT, payload, now))
            db.execute(
                "DELETE FROM untold WHERE first IN (SELECT value FROM json_each(?))",
                (json.dumps([first for first, _, _ in ranges]),),
            )
        self._rows += 1
        self._bytes += len(payload)

    def _backlog(self, new_from: int) -> list[int]:
        """Numbers of what waited while there was no link, the gravest first, as many as may be wanted."""
        found: list[int] = []
        query = "SELECT seq FROM alerts WHERE severity = ? AND seq < ? ORDER BY seq LIMIT ?"
        most = WINDOW + len(self._sent)
        for rank in sorted(severity.rank for severity in Severity)[::-1]:
            if len(found) < most:
                found += (seq for (seq,) in self._query(query, (rank, new_from, most - len(found))))
        return found

    def _unsent_news(self, new_from: int, limit: int) -> list[int]:
        if limit <= 0:
            return []
        query = "SELECT seq FROM alerts WHERE seq >= ? ORDER BY seq LIMIT ?"
        found = self._query(query, (new_from, limit + len(self._sent)))
        return [seq for (seq,) in found if seq not in self._sent][:limit]

    def _first_since(self, at: float) -> int:
        """Number of the first envelope put since a time, looking back no further than some hundreds."""
        recent = self._query("SELECT seq, put_at FROM alerts ORDER BY seq DESC LIMIT ?", (10 * WINDOW,))
        return min((seq for seq, put_at in recent if put_at >= at), default=int(self._meta("last_seq")) + 1)

    def _send(self, seq: int, id_: str, payload: bytes, now: float) -> Row:
        before = self._sent.get(seq, _Sent(0, 0.0))
        due_at = now + min(FIRST_RESEND_S * 2**before.waits, LONGEST_RESEND_S)
        self._sent[seq] = _Sent(before.attempts + 1, due_at, before.waits + 1)
        return Row(seq, id_, payload, before.attempts)

    def _is_refused(self, seq: int) -> bool:
        return self._sent[seq].waits >= ATTEMPTS_BEFORE_BURIAL and seq < self._highest_acked

    def _bury_alert(self, seq: int, reason: str) -> None:
        with self._transaction() as db:
            gone = db.execute("DELETE FROM alerts WHERE seq = ? RETURNING id, payload, severity", (seq,)).fetchone()
            if gone is None:
                return
            self._add_dead("alert", gone[0], reason, gone[1])
            if gone[2] != STATEMENT:  # a hub older than such words takes none
                self._note_untold(seq, "dead")
        self._forget(seq, len(gone[1]))
        self._changed.notify_all()
        logger.error("alert %s is given up: %s", gone[0], reason)

    def _forget(self, seq: int, size: int) -> None:
        self._sent.pop(seq, None)
        self._rows -= 1
        self._bytes -= size

    def _remove_clip(self, clip: Clip, reason: str | None) -> None:
        delete = f"DELETE FROM {_table(clip.what)} WHERE incident = ? AND segment = ?"  # noqa: S608
        with self._transaction() as db:
            db.execute(delete, (clip.incident, clip.segment))
            if reason is not None:
                self._add_dead(clip.what or "clip", clip.name, reason, json.dumps(asdict(clip), default=str))
            self._tried.pop(clip.key, None)
            self._changed.notify_all()

    def _add_dead(self, what: str, name: str, reason: str, content: bytes | str) -> None:
        """Keep a dead letter, inside the caller's transaction; the oldest go when there are too many."""
        self._db.execute("INSERT INTO dead VALUES (?, ?, ?, ?, ?)", (what, name, reason, self._clock.now(), content))
        self._db.execute("UPDATE meta SET value = value + 1 WHERE name = 'dead'")
        self._db.execute(
            """DELETE FROM dead WHERE rowid IN (SELECT rowid FROM (SELECT rowid,
                ROW_NUMBER() OVER (ORDER BY rowid DESC) AS place,
                SUM(length(content)) OVER (ORDER BY rowid DESC) AS size FROM dead) WHERE place > ? OR size > ?)""",
            (DEAD_KEPT, DEAD_BYTES),
        )

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        """One write, committed at the end, undone on an error."""
        with self._named_errors():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise self._named(error) from error

    def _query(self, sql: str, values: tuple[Any, ...] = ()) -> list[Any]:
        return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str) -> int:
        return int(self._query(sql)[0][0])

    def _meta(self, name: str) -> str:
        return str(self._query("SELECT value FROM meta WHERE name = ?", (name,))[0][0])

    def _number(self, name: str, otherwise: float) -> float:
        found = self._query("SELECT value FROM meta WHERE name = ?", (name,))
        return float(found[0][0]) if found else otherwise

    def _set_aside_files(self) -> list[Path]:
        """Corrupt files of an outbox beside this one, oldest first."""
        found = self._path.parent.glob(f"{self._path.name}{ASIDE}*")
        return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))

    def _full(self) -> float:
        return max(self._rows / self._buffers.alert_rows, self._bytes / (self._buffers.alert_mb * 2**20))

    def _oldest(self) -> float:
        return float(self._query("SELECT put_at FROM alerts ORDER BY seq LIMIT 1")[0][0])

    def _is_empty(self) -> bool:
        files = "SELECT (SELECT COUNT(*) FROM clips) + (SELECT COUNT(*) FROM sides)"
        with self._named_errors():
            return not self._rows and not self._one(files)

    def _named(self, error: sqlite3.Error) -> StoreError:
        if getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_FULL:
            return DiskFull(f"no room left on the disk of the outbox {self._path}")
        return StoreError(f"the outbox {self._path} can't be used: {error}")


def _severity_name(rank: int) -> str:
    return next((severity.value for severity in Severity if severity.rank == rank), "info")


def _table(what: str | None) -> str:
    return "sides" if what == wire.SIDE else "clips"


def _corrupt(found: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
