"""Envelopes and clips come in and are on disk when the call returns; the senders take them out, the hub's word deletes.

SQLite in WAL mode with `synchronous=FULL`: what `put` returned for survives power loss. What was sent and when to send
it again is kept in memory only, since everything un-acknowledged is sent anew after a restart or a reconnect anyway;
so sending costs no fsync.

    put ──► row ──► take_due ──► (broker, hub) ──► acknowledge ──► gone
                        └──► bury ──► dead letter, kept and counted
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from detector import wire
from detector.clock import Clock, iso
from detector.errors import StoreError, WireError
from detector.values import Phase, Severity

logger = logging.getLogger(__name__)

WINDOW = 100  # rows in flight at most
FIRST_RESEND_S = 5.0
LONGEST_RESEND_S = 60.0
# With the resend times above this is ten minutes of silence about one row while the hub confirms later ones.
ATTEMPTS_BEFORE_BURIAL = 14
ASIDE = ".corrupt-"

SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS alerts (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, incident TEXT NOT NULL, severity INTEGER NOT NULL,
    payload BLOB NOT NULL, put_at REAL NOT NULL);
CREATE INDEX IF NOT EXISTS alerts_by_severity ON alerts (severity, seq);
CREATE INDEX IF NOT EXISTS alerts_by_incident ON alerts (incident);
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
"""
_DUE = """SELECT incident, segment, camera, path, sha256, size, started_at, duration_s FROM {0}
    WHERE NOT EXISTS (SELECT 1 FROM alerts WHERE alerts.incident = {0}.incident) {1} ORDER BY put_at, segment"""
DUE_CLIPS = _DUE.format("clips", "")
DUE_SIDES = _DUE.format(
    "sides",
    "AND NOT EXISTS (SELECT 1 FROM clips WHERE clips.incident = sides.incident AND clips.segment = sides.segment)",
)


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


class Outbox:
    """Everything this edge still owes the hub. Safe to use from several threads; one process at a time.

    Args:
        path: The database file; its folder is made when missing.
        key: Signs the envelopes.
        clock: Tells when an envelope was put and when to send again.
        max_rows: Envelopes kept at most.
        max_bytes: Their payload at most, bytes. What exceeds either is dropped, oldest of the lowest severity first.

    Raises:
        StoreError: Another process has it open, or the file can't be opened.
    """

    def __init__(
        self,
        path: Path,
        key: Ed25519PrivateKey,
        *,
        clock: Clock,
        max_rows: int = 20_000,
        max_bytes: int = 512 * 2**20,
    ) -> None:
        self._path = path
        self._key = key
        self._key_text = wire.public_key_text(key)
        self._clock = clock
        self._max_rows = max_rows
        self._max_bytes = max_bytes
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._sent: dict[int, _Sent] = {}
        self._tried: dict[tuple[str, int, str | None], _Sent] = {}
        self._highest_acked = 0
        self._dropping = False
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

    def counts(self) -> dict[str, float]:
        """How things stand, for the health message.

        Returns:
            `backlog`: envelopes not confirmed; `clips`: segments not uploaded; `oldest_s`: age of the oldest envelope,
            seconds, 0 when there is none; `dropped` and `dead`: ever given up, for want of room and for good reason;
            `set_aside`: corrupt files of an outbox that lie beside this one, with what was in them.
        """
        with self._named_errors():
            return {
                "backlog": self._rows,
                "clips": self._one("SELECT COUNT(*) FROM clips"),
                "oldest_s": round(max(0.0, self._clock.now() - self._oldest()), 1) if self._rows else 0.0,
                "dropped": int(self._meta("dropped")),
                "dead": self._one("SELECT COUNT(*) FROM dead"),
                "set_aside": sum(
                    not path.name.endswith(("-wal", "-shm"))
                    for path in self._path.parent.glob(f"{self._path.name}{ASIDE}*")
                ),
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
        """Envelopes to send now, oldest first; they count as sent from now on.

        Not more than `WINDOW` are in flight. One that was sent is due again after 5 s, then after twice that, up to
        60 s. One that the hub keeps leaving out while it confirms later ones is buried: it won't be taken.
        """
        now = self._clock.now()
        with self._named_errors():
            late = sorted(seq for seq, sent in self._sent.items() if sent.due_at <= now)
            for seq in [s for s in late if self._is_refused(s)]:
                late.remove(seq)
                self._bury_alert(seq, "the hub never confirmed it")
            fresh = self._unsent(min(limit - len(late), WINDOW - len(self._sent)))
            chosen = json.dumps([*late, *fresh][: max(limit, 0)])
            query = "SELECT alerts.seq, alerts.id, payload FROM json_each(?) JOIN alerts ON seq = value ORDER BY key"
            found = self._query(query, (chosen,))
            # Marked as sent only now: had reading failed, none of them would have been.
            return [self._send(seq, id_, payload, now) for seq, id_, payload in found]

    def resend_all(self) -> None:
        """The way to the hub is a new one: everything un-acknowledged is due now, and waited for afresh."""
        with self._lock:
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
        delete = "DELETE FROM alerts WHERE id IN (SELECT value FROM json_each(?)) RETURNING seq, length(payload)"
        with self._lock:
            with self._transaction() as db:
                gone = db.execute(delete, (json.dumps(ids),)).fetchall()
            for seq, size in gone:
                self._forget(seq, size)
                self._highest_acked = max(self._highest_acked, seq)
            self._changed.notify_all()
        if gone:
            self.new_clip.set()  # a clip may have waited for its alert
        return len(gone)

    def bury(self, row: Row, reason: str) -> None:
        """Give an envelope up for good; it is kept as a dead letter."""
        with self._lock:
            self._bury_alert(row.seq, reason)

    # ---- for the sender of clips

    def next_clip(self) -> Clip | None:
        """The oldest clip that is due and whose incident has no envelope waiting; `None` when there is none.

        Where no clip is, the oldest side file that is due, and whose clip isn't waiting either.
        """
        now = self._clock.now()
        with self._named_errors():
            for what, rows in ((None, self._query(DUE_CLIPS)), (wire.SIDE, self._query(DUE_SIDES))):
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
            first = {"epoch": uuid.uuid4().hex, "last_seq": "0", "dropped": "0"}
            self._db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", first.items())
            self._left_open = {incident for (incident,) in self._query("SELECT incident FROM open")}
            self._rows = self._one("SELECT COUNT(*) FROM alerts")
            self._bytes = self._one("SELECT COALESCE(SUM(length(payload)), 0) FROM alerts")
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
            self._db.execute(
                "INSERT INTO alerts VALUES (?, ?, ?, ?, ?, ?)",
                (seq, id_, str(fields["after"]["id"]), Severity(fields["after"]["severity"]).rank, payload, now),
            )
            self._note_open(fields)
            self._rows += 1
            self._bytes += len(payload)
            dropped = self._make_room()
            self._db.execute("COMMIT")
        except BaseException:
            self._rows, self._bytes = before
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise
        for gone in dropped:
            self._sent.pop(gone, None)
        if bool(dropped) != self._dropping:
            self._dropping = bool(dropped)
            if dropped:
                logger.error("the outbox is full: the oldest alerts of the lowest severity are dropped")
            else:
                logger.warning("the outbox has room again; dropped so far: %s", self._meta("dropped"))

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

    def _note_open(self, fields: Mapping[str, Any]) -> None:
        """Remember, within the caller's transaction, which incidents have no end yet."""
        incident = str(fields["after"]["id"])
        if fields.get("phase") == Phase.END:
            self._db.execute("DELETE FROM open WHERE incident = ?", (incident,))
        else:
            known = wire.encode({**fields, "snapshot": None})
            self._db.execute("INSERT OR REPLACE INTO open VALUES (?, ?)", (incident, known))

    def _make_room(self) -> list[int]:
        """Drop what exceeds the limits, inside the caller's transaction; `seq` of each row dropped."""
        dropped = []
        while self._rows > self._max_rows or self._bytes > self._max_bytes:
            seq, size = self._query("SELECT seq, length(payload) FROM alerts ORDER BY severity, seq LIMIT 1")[0]
            self._db.execute("DELETE FROM alerts WHERE seq = ?", (seq,))
            self._rows -= 1
            self._bytes -= size
            dropped.append(seq)
        if dropped:
            self._db.execute("UPDATE meta SET value = value + ? WHERE name = 'dropped'", (len(dropped),))
        return dropped

    def _unsent(self, limit: int) -> list[int]:
        if limit <= 0:
            return []
        found = self._query("SELECT seq FROM alerts ORDER BY seq LIMIT ?", (limit + len(self._sent),))
        return [seq for (seq,) in found if seq not in self._sent][:limit]

    def _send(self, seq: int, id_: str, payload: bytes, now: float) -> Row:
        before = self._sent.get(seq, _Sent(0, 0.0))
        due_at = now + min(FIRST_RESEND_S * 2**before.waits, LONGEST_RESEND_S)
        self._sent[seq] = _Sent(before.attempts + 1, due_at, before.waits + 1)
        return Row(seq, id_, payload, before.attempts)

    def _is_refused(self, seq: int) -> bool:
        return self._sent[seq].waits >= ATTEMPTS_BEFORE_BURIAL and seq < self._highest_acked

    def _bury_alert(self, seq: int, reason: str) -> None:
        with self._transaction() as db:
            gone = db.execute("DELETE FROM alerts WHERE seq = ? RETURNING id, payload", (seq,)).fetchone()
            if gone is None:
                return
            db.execute("INSERT INTO dead VALUES ('alert', ?, ?, ?, ?)", (gone[0], reason, self._clock.now(), gone[1]))
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
                row = (clip.what or "clip", clip.name, reason, self._clock.now(), json.dumps(asdict(clip), default=str))
                db.execute("INSERT INTO dead VALUES (?, ?, ?, ?, ?)", row)
            self._tried.pop(clip.key, None)
            self._changed.notify_all()

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


def _table(what: str | None) -> str:
    return "sides" if what == wire.SIDE else "clips"


def _corrupt(found: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(found)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _is_corrupt(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
