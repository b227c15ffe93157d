"""The SQLite file that the outbox is kept in.

WAL mode with `synchronous=FULL`: what a transaction returned for survives power loss. A corrupt file is set aside, and
of one that is sound the rows that can't be read.

Of a WAL that the disk has spoilt, and of a file that is empty, SQLite says nothing: it goes on with what was there
before. So the lock file holds the last number given, and numbers go on from there: the hub misses those in between, and
says so. That note isn't synced: where a power cut takes it, too, a loss only goes unnoticed.
"""

from __future__ import annotations

import fcntl
import logging
import os
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from detector.clock import Clock, iso
from detector.errors import StoreError

logger = logging.getLogger(__name__)

NAME = "outbox.db"  # in an edge's data folder
ASIDE = ".corrupt-"
NO_INDEX = (sqlite3.SQLITE_IOERR_SHMOPEN, sqlite3.SQLITE_IOERR_SHMSIZE)  # no room for the file of the WAL's index
ASIDE_KEPT = 3  # of the files set aside; older ones are emptied, their names stay and are counted

MAGIC, VERSION_AT = b"SQLite format 3\0", slice(60, 64)  # in the head of SQLite's files; `user_version`, big-endian
VERSION = 1  # raised where a labelwatch of before could no longer write to the file, or would misread it
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


def shut_to_us(path: Path) -> list[Path]:
    """Of the files that an outbox is, those that are there and that we may not read and write."""
    parts = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm", ".lock")]
    may = os.R_OK | os.W_OK
    return [part for part in parts if os.access(part, os.F_OK) and not os.access(part, may, effective_ids=True)]


def is_newer(path: Path) -> bool:
    """Whether a newer labelwatch made an outbox; not asked of SQLite, which would make files of ours beside it.

    Raises:
        OSError: The file can't be read.
    """
    with path.open("rb") as file:
        head = file.read(VERSION_AT.stop)
    return head.startswith(MAGIC) and int.from_bytes(head[VERSION_AT], "big") > VERSION


class DiskFull(StoreError):  # noqa: N818  (named like the rest of errors.py)
    """There is no room left on the disk of the outbox."""


class CorruptFile(StoreError):  # noqa: N818
    """What is in the file of the outbox can't be made sense of."""


class TornText(CorruptFile):
    """SQLite finds nothing amiss, but a row holds text that is none."""


class OnFile(Protocol):
    """Who keeps something in the file."""

    _file: OutboxFile


S = TypeVar("S", bound=OnFile)
P = ParamSpec("P")
R = TypeVar("R")


def mending(call: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """A call that sets aside the row, or the file, in which it meets corruption, and is made once more."""

    @wraps(call)
    def mended(self: S, /, *args: P.args, **more: P.kwargs) -> R:
        return self._file.mended(lambda: call(self, *args, **more))

    return mended


class OutboxFile:
    """One connection for all threads; one process at a time. Nothing works before `open`.

    Args:
        path: The database file; its folder is made when missing.
        clock: Tells when a file was set aside.

    Raises:
        StoreError: Another process has it open, or the file can't be opened, or is of a newer version.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._is_open = False
        self._epoch, self._last_given = "", 0
        self._changed = threading.Condition(threading.RLock())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._guard = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StoreError(f"the outbox {path} can't be opened: {error.strerror}") from error
        try:
            fcntl.flock(self._guard, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._guard)
            raise StoreError(f"the outbox {path} is in use by another process") from error

    def open(self, load: Callable[[], None], bury_torn: Callable[[], None]) -> None:
        """Open the file, or a new one where it is corrupt.

        Args:
            load: Reads from each file what its users keep in memory.
            bury_torn: Takes out the rows that hold text that is none.
        """
        self._load, self._bury_torn = load, bury_torn
        try:
            self.mended(lambda: None)
        except BaseException:
            os.close(self._guard)
            raise

    def close(self) -> None:
        """Close the file; safe to call twice."""
        with self._changed:
            if self._guard >= 0:
                self._db.close()
                os.close(self._guard)
                self._guard = -1

    def mended(self, call: Callable[[], R]) -> R:
        """See `mending`; all other threads wait until it is over."""
        with self._changed:
            try:
                try:
                    return self._with_file(call)
                except TornText:
                    self._is_open = False
                    return self._with_file(call, is_torn=True)
            except CorruptFile as error:
                self._set_aside(error)
            return call()

    @property
    def folder(self) -> Path:
        """Where the file is."""
        return self._path.parent

    def files_aside(self) -> list[Path]:
        """Corrupt files of an outbox beside this one, oldest first."""
        found = self._path.parent.glob(f"{self._path.name}{ASIDE}*")
        return sorted(path for path in found if not path.name.endswith(("-wal", "-shm")))

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write, committed at the end, undone on an error; whoever waits for a change looks again after it."""
        with self.locked():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._changed.notify_all()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all other threads out, and name SQLite's errors: `DiskFull`, `CorruptFile`, or another `StoreError`."""
        with self._changed:
            try:
                yield
            except sqlite3.Error as error:
                raise self._named(error) from error

    def wait_for(self, is_so: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something is so, asked after every change, at most so many seconds; tells whether it is."""
        with self._changed:
            return self._changed.wait_for(is_so, timeout_s)

    def execute(self, sql: str, values: Any = ()) -> sqlite3.Cursor:
        """Run one statement, within the caller's transaction or `locked`."""
        return self._db.execute(sql, values)

    def query(self, sql: str, values: Any = ()) -> list[Any]:
        """Likewise, and all rows of what it finds."""
        return self._db.execute(sql, values).fetchall()

    def one(self, sql: str) -> int:
        """Likewise, and the one number that it finds."""
        return int(self.query(sql)[0][0])

    def meta(self, name: str, otherwise: str = "") -> str:
        """Likewise, and a value of the file as a whole, e.g. its `epoch`; `otherwise` where it was never set."""
        found = self.query("SELECT value FROM meta WHERE name = ?", (name,))
        return str(found[0][0]) if found else otherwise

    def set_meta(self, name: str, value: str) -> None:
        """Set it, within the caller's transaction."""
        self._db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, value))

    def next_number(self) -> int:
        """The number of the next envelope, within the caller's transaction; to be noted once that has committed."""
        number = max(int(self.meta("last_seq")), self._last_given) + 1
        self.set_meta("last_seq", str(number))
        return number

    def note_given(self, number: int) -> None:
        """Note that an envelope has this number."""
        self._last_given = number
        with suppress(OSError):  # it is kept all the same
            os.pwrite(self._guard, f"{self._epoch} {number}\n".encode(), 0)

    def _with_file(self, call: Callable[[], R], *, is_torn: bool = False) -> R:
        with self.locked():
            if not self._is_open and self._guard >= 0:  # or no fresh one could be made before
                self._open(is_torn=is_torn)
        return call()

    def _set_aside(self, error: CorruptFile) -> None:
        """Begin a new file, keep the broken one: an edge that can't tell of the next sweep is worse than a lost row."""
        with self.locked():
            self._db.close()
            self._is_open = False
            stamp = iso(self._clock.now()).replace(":", "").replace(".", "")
            try:
                for suffix in ("", "-wal", "-shm"):
                    part = self._path.with_name(self._path.name + suffix)
                    if part.exists():
                        part.rename(self._path.with_name(f"{self._path.name}{ASIDE}{stamp}{suffix}"))
                os.ftruncate(self._guard, 0)  # what is lost is told of otherwise: the fresh one numbers anew
            except OSError as failed:
                told = f"the outbox {self._path} is corrupt and can't be set aside: {failed.strerror}"
                raise StoreError(told) from failed
            cause = error.__cause__
            logger.error("the outbox %s is corrupt (%s); it is set aside as %s%s", self._path, cause, ASIDE, stamp)
            self._empty_older()
            self._open()

    def _empty_older(self) -> None:
        """Of the files set aside the latest keep what is in them."""
        try:
            for old in self.files_aside()[:-ASIDE_KEPT]:
                for suffix in ("-wal", "-shm"):
                    old.with_name(old.name + suffix).unlink(missing_ok=True)
                os.truncate(old, 0)
        except OSError as error:  # they take room: no reason to do without an outbox
            logger.error("what was set aside of the outbox %s can't be emptied: %s", self._path, error.strerror)

    def _open(self, *, is_torn: bool = False) -> None:
        self._connect()
        try:
            self._begin_log()
            self._db.execute("PRAGMA synchronous=FULL")
            found = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise _corrupt(found)
            self._bring_up_to_date()
            try:
                if is_torn:
                    self._db.execute("REINDEX")  # an index may hold the torn text, or what stood there before
                    self._bury_torn()
                self._begin_numbers()
                self._load()
            except ValueError as error:
                raise _corrupt(str(error)) from error
            self._is_open = True
        except (sqlite3.DatabaseError, StoreError):
            self._db.close()
            raise

    def _connect(self) -> None:
        self._db = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        self._db.text_factory = _text

    def _begin_log(self) -> None:
        try:
            self._keep_log("NORMAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode not in NO_INDEX:
                raise
            # Memory will do for who has the file to himself. So a worker begins on a full disk too, where nobody but
            # itself gives clips up to make room.
            self._db.close()
            self._connect()
            self._keep_log("EXCLUSIVE")

    def _bring_up_to_date(self) -> None:
        """Make the tables that are missing, and give those of an older program their present shape.

        Raises:
            StoreError: They are a newer program's.
        """
        version = self.one("PRAGMA user_version")
        if version > VERSION:
            told = f"the outbox {self._path} was made by a newer labelwatch than this one"
            raise StoreError(f"{told}: start that version; nothing in it is touched")
        self._db.executescript(SCHEMA)
        if "phase" not in {row[1] for row in self.query("PRAGMA table_info(alerts)")}:
            self._db.executescript(f"BEGIN; {PHASES} COMMIT;")
        self._db.executescript(INDEXES)
        if version < VERSION:
            with suppress(sqlite3.OperationalError):  # on a full disk the next start says so
                self._db.execute(f"PRAGMA user_version={VERSION}")

    def _begin_numbers(self) -> None:
        """Have numbers go on after the last that was given, though this file doesn't know of it."""
        epoch, given = self._noted()
        first = {"epoch": epoch, "last_seq": "0"}
        self._db.executemany("INSERT OR IGNORE INTO meta VALUES (?, ?)", first.items())
        self._epoch, known = self.meta("epoch"), int(self.meta("last_seq"))
        self._last_given = given if self._epoch == epoch else 0
        if self._last_given > known:
            told = "the outbox %s lacks what was put last: it knows of %d alerts, and %d were numbered"
            logger.error(told, self._path, known, self._last_given)

    def _noted(self) -> tuple[str, int]:
        """Epoch and number of the envelope that was numbered last; a new epoch, and 0, where no note is found."""
        with suppress(OSError, ValueError):
            epoch, number = os.pread(self._guard, 100, 0).decode().partition("\n")[0].split()  # a longer one may follow
            return epoch, int(number)
        return uuid.uuid4().hex, 0

    def _keep_log(self, locking_mode: str) -> None:
        self._db.execute(f"PRAGMA locking_mode={locking_mode}")
        self._db.execute("PRAGMA journal_mode=WAL")

    def _named(self, error: sqlite3.Error) -> StoreError:
        code = getattr(error, "sqlite_errorcode", 0)
        if code == sqlite3.SQLITE_FULL:
            return DiskFull(f"no room left on the disk of the outbox {self._path}")
        told = f"the outbox {self._path} can't be used: {error}"
        if isinstance(error, _TornText):
            return TornText(told)
        is_corrupt = code & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        return (CorruptFile if is_corrupt else StoreError)(told)


class _TornText(sqlite3.DatabaseError):
    """What `TornText` is where SQLite's own errors are."""


def _text(stored: bytes) -> str:
    try:
        return stored.decode()
    except UnicodeDecodeError as error:
        raise _TornText(f"{stored!r} is not valid text") from error


def _corrupt(what: str) -> sqlite3.DatabaseError:
    """What SQLite itself would raise."""
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error
