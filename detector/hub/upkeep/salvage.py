"""A SQLite database that is corrupt is set aside, and the hub goes on with what can still be read of it.

    hub.sqlite ─ corrupt ─► hub.sqlite.corrupt-2026…, with its -wal, kept for ever
                  every row that can be read ─► a new hub.sqlite ◄─ of tables that can't be read whole, what the
                                                                    newest backup has beside

Nothing is deleted: the broken file stays as it is, and so do all clips, whether a row speaks of them or not. Incidents
that can't be read are told anew by their alerts; what edges still hold comes again. What is gone from the audit log is
found when its chain is checked.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import JSON, Table

from detector.clock import iso
from detector.config import HubConfig
from detector.errors import StoreError
from detector.hub.storage.budget import budget_of
from detector.hub.storage.changes import MEMORY_FILE
from detector.hub.storage.database import is_corrupt
from detector.hub.storage.schema import audit, incidents, join_codes, metadata, recovery_codes, sessions, tokens
from detector.hub.storage.store import Store
from detector.hub.upkeep.backup_folder import newest_database
from detector.hub.upkeep.database_place import SQLITE
from detector.hub.upkeep.retention import FOOTAGE
from detector.hub.watch.alarms import Sign

logger = logging.getLogger(__name__)

ASIDE = ".corrupt-"
FILLING = f"{SQLITE}.filling"
MARK = f"{SQLITE}.damaged"  # left by a hub that met damage while it ran
READ_THROUGH = 256 * 2**20  # a larger file is read from end to end only where damage was met
BATCH = 500
DOORS = {sessions.name, recovery_codes.name}
# Incidents whose change can't be read come before all others, as if they had not changed since.
RENUMBER = """INSERT INTO changes (number, incident)
    SELECT (SELECT coalesce(min(number), 1) FROM changes) - row_number() OVER (ORDER BY started_at DESC, id DESC), id
    FROM incidents WHERE id NOT IN (SELECT incident FROM changes)"""
MOST_TOLD_ANEW = 5000  # of more the newest: whoever starts the hub waits for it
UNKNOWN = 1_000_000  # numbers that are left free where it can't be read any more how many were given
KEYS_OF_BEFORE = "WHERE site || '/' || edge = :subject AND since <= :at AND state != 'revoked'"
# What an entry of the audit log took away: the table, and what is set in it. A password that was changed since opens
# no more, as a one-time one that has run out; a box's older key is no more believed.
TOOK_AWAY = {
    "token_revoked": ("tokens", "revoked_at = :at WHERE name = :subject AND revoked_at IS NULL"),
    "user_disabled": ("users", "disabled_at = :at WHERE name = :subject"),
    "user_enabled": ("users", "disabled_at = NULL WHERE name = :subject"),
    "user_changed": ("users", "role = :role, scope = :scope WHERE name = :subject"),
    **dict.fromkeys(
        ("password_changed", "password_reset", "second_step_set"),
        ("users", "one_time_until = 0 WHERE name = :subject"),
    ),
    **dict.fromkeys(
        ("box_revoked", "box_key_new"),
        ("edge_keys", f"state = 'revoked', until = :at, ended_by = :user {KEYS_OF_BEFORE}"),
    ),
}


def open_store(config: HubConfig, now: float) -> tuple[Store, Sign | None]:
    """The hub's store, and what is to be told where its database had to be set aside.

    Whoever calls must hold the data folder.

    Args:
        config: Of the hub.
        now: Unix seconds; names what is set aside.

    Raises:
        StoreError: The database can't be used, for another reason than damage.
    """
    named = config.database_url()
    path = config.data_dir / SQLITE
    url = named or f"sqlite:///{path}"
    filling = config.data_dir / FILLING
    if not path.exists() and filling.exists():  # whole: the broken one is set aside only when it is
        filling.rename(path)
    damage = "" if named or not path.exists() else _damage(path, (config.data_dir / MARK).exists())
    if not damage:
        try:
            return Store(url, budget_of(config)), None
        except StoreError as error:
            if named or not is_corrupt(getattr(error.__cause__, "orig", error.__cause__)):
                raise
            damage = str(error)
    logger.error("the hub's database is corrupt: %s", damage)
    sign = _salvage(config, path, filling, now)
    return Store(url, budget_of(config)), sign


def _salvage(config: HubConfig, path: Path, filling: Path, now: float) -> Sign:
    """Put a new database, filled by way of another file, in the place of a corrupt one; what is to be told of it.

    Raises:
        StoreError: None can be filled.
    """
    for suffix in ("", "-wal", "-shm"):
        filling.with_name(filling.name + suffix).unlink(missing_ok=True)
    Store(f"sqlite:///{filling}").close()
    try:
        rows, backup_at, lost = _fill(filling, path, config.backups_dir)
        _tell_anew(filling, config, lost)
        aside = set_aside(path, now)
        (config.data_dir / MEMORY_FILE).unlink(missing_ok=True)  # its numbers may be given to other changes
        filling.rename(path)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"no new database can be filled from the corrupt {path}: {error}") from error
    (config.data_dir / MARK).unlink(missing_ok=True)
    told = f", and what a backup of {iso(backup_at)} has beside" if backup_at else ""
    logger.error("it is set aside as %s; %d rows were taken over%s", aside, rows, told)
    facts = {"file": aside.name, "rows": rows, "backup_at": backup_at}
    return Sign("hub_store", since=now, count=round(now), facts=facts)


def set_aside(path: Path, now: float) -> Path:
    """Rename a database with all that belongs to it; its new path."""
    stamp = iso(now).replace(":", "").replace(".", "")
    aside = path.with_name(f"{path.name}{ASIDE}{stamp}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def mark_damaged(folder: Path, damage: str) -> None:
    """Have the next start look at the whole database, and set it aside."""
    mark = folder / MARK
    if not mark.exists():
        mark.write_text(damage, encoding="utf-8")


def _damage(path: Path, was_met: bool) -> str:
    """What is wrong with a database file; empty where nothing is, or where it can't be opened for other reasons."""
    try:
        with closing(sqlite3.connect(path, timeout=10)) as db:
            db.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            if was_met or path.stat().st_size <= READ_THROUGH:
                found = str(db.execute("PRAGMA quick_check(1)").fetchone()[0])
                return (_spoilt(db) if was_met else "") if found == "ok" else found
    except sqlite3.Error as error:
        return str(error) if is_corrupt(error) else ""
    return ""


def _spoilt(db: sqlite3.Connection) -> str:
    """Which table holds what SQLite takes for whole and isn't: text that is none, or JSON. Empty where none does."""
    db.text_factory = _text
    for table in metadata.sorted_tables:
        names = _columns(db, table, {column.name for column in table.c})
        of_json, columns = _of_json(table, names), ", ".join(f'"{name}"' for name in names)
        rows = db.execute(f'SELECT {columns} FROM "{table.name}"') if names else ()  # noqa: S608
        if any(_is_spoilt(row, of_json) for row in rows):
            return f"what stands in {table.name} can't be read"
    return ""


def _fill(path: Path, broken: Path, backups: Path | None) -> tuple[int, float | None, list[str]]:
    """Take over what can be read, then what the newest backup has beside; rows of the first, time of the other.

    Last of all incidents that were told of and can't be read, the first told of first: they are missing now, or are
    what the backup knew of them.

    Of a table that is whole nothing comes from the backup: a session that was ended since, or a picture that was
    deleted, would come to life again. Neither does it of one that isn't: see `_forget_what_went` and
    `_shut_what_was_shut`.
    """
    backup_at = None
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous=FULL")
        rows, torn = _take_over(db, broken, metadata.sorted_tables)
        read = {one for (one,) in db.execute("SELECT id FROM incidents")}
        if backups is not None:
            with TemporaryDirectory(dir=path.parent, prefix=".restoring-") as folder:
                copy = Path(folder) / "database"
                backup_at = newest_database(backups, copy)
                if backup_at is not None:
                    _forget_what_went(copy, db, backup_at)
                    _shut_what_was_shut(copy, db, backup_at, log_is_whole=audit not in torn)
                    _take_over(db, copy, torn)
                    for (name,) in db.execute("SELECT name FROM users WHERE one_time_until = 0"):
                        logger.warning("the password of %s is of before: give another (labelwatch user)", name)
        db.execute(RENUMBER)
        if rows or backup_at is not None:
            _count_on(db, broken)
        told = db.execute("SELECT incident FROM alerts GROUP BY incident ORDER BY min(number)").fetchall()
    return rows, backup_at, [one for (one,) in told if one not in read]


def _tell_anew(path: Path, config: HubConfig, lost: Sequence[str]) -> None:
    """Have incidents that can't be read be what boxes said of them, as far as that can: their alerts come no more."""
    if not lost:
        return
    with closing(Store(f"sqlite:///{path}", budget_of(config))) as store:
        for incident in lost[-MOST_TOLD_ANEW:]:
            try:
                store.intake.tell_anew([incident])
            except Exception as error:  # noqa: BLE001  (for one odd incident no hub is to stay away)
                logger.error("incident %s can't be told anew: %s", ascii(incident)[:60], type(error).__name__)


def _count_on(db: sqlite3.Connection, broken: Path) -> None:
    """Have every number be higher than any that was given before, also where the row that had it is gone.

    Rows that are left refer to it: a picture would stand for another alert's, and keep that one from being stored; who
    was told of an alarm wouldn't be told of the next.
    """
    given = _given(broken)
    for name in (table.name for table in metadata.sorted_tables if table.dialect_options["sqlite"]["autoincrement"]):
        kept = db.execute("SELECT seq FROM sqlite_sequence WHERE name = ?", (name,)).fetchone()
        last = max(kept[0] if kept else 0, given.get(name, 0)) if given else (kept[0] if kept else 0) + UNKNOWN
        db.execute("DELETE FROM sqlite_sequence WHERE name = ?", (name,))
        db.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", (name, last))


def _given(broken: Path) -> dict[str, int]:
    """The highest number that each table of a database ever gave; nothing where that can't be read."""
    try:
        with closing(sqlite3.connect(f"file:{broken}?mode=ro", uri=True)) as old:
            return dict(old.execute("SELECT name, seq FROM sqlite_sequence WHERE typeof(seq) = 'integer'"))
    except sqlite3.Error:
        return {}


def _forget_what_went(copy: Path, db: sqlite3.Connection, backup_at: float) -> None:
    """Take out of a copy of a backup what was deleted since on purpose: footage, and what opens the door to somebody.

    That footage went stands in two places, of which one may be torn. Of sessions and recovery codes nothing says which
    were used or ended since, so all of them go: people log in again.
    """
    went = """SELECT incident FROM retention WHERE deleted_at >= :at
        UNION SELECT subject FROM audit WHERE action = 'footage_deleted' AND at >= :at"""
    gone = db.execute(went, {"at": backup_at}).fetchall()
    with closing(sqlite3.connect(copy, isolation_level=None)) as old:
        has = {name for (name,) in old.execute("SELECT name FROM sqlite_master")}
        for table in DOORS & has:
            old.execute(f"DELETE FROM {table}")  # noqa: S608
        for table in has.intersection(one.name for one in FOOTAGE):
            old.executemany(f"DELETE FROM {table} WHERE incident = ?", gone)  # noqa: S608
        if incidents.name in has:
            old.executemany("UPDATE incidents SET snapshot = NULL WHERE id = ?", gone)


def _shut_what_was_shut(copy: Path, db: sqlite3.Connection, backup_at: float, *, log_is_whole: bool) -> None:
    """Shut in a copy of a backup what lets somebody in and was shut since, as the audit log tells it.

    Codes to join with may have been used or cancelled since, and are soon made anew: those not used go. Where the log
    is torn too, so may any token be that isn't known to be revoked: all are.
    """
    since = "SELECT action, subject, at, user, details FROM audit WHERE at >= ? ORDER BY number"
    with closing(sqlite3.connect(copy, isolation_level=None)) as old:
        has = {name for (name,) in old.execute("SELECT name FROM sqlite_master")}
        if join_codes.name in has:  # a backup of an older hub may lack it
            old.execute("DELETE FROM join_codes WHERE used_at IS NULL")
        if tokens.name in has and not log_is_whole:
            old.execute("UPDATE tokens SET revoked_at = ? WHERE revoked_at IS NULL", (backup_at,))
        for action, subject, at, user, details in db.execute(since, (backup_at,)):
            table, change = TOOK_AWAY.get(action, ("", ""))
            if table in has:
                told = json.loads(details)
                scope = None if told.get("scope") is None else json.dumps(told["scope"])
                facts = {"subject": subject, "at": at, "user": user, "role": told.get("role"), "scope": scope}
                old.execute(f"UPDATE {table} SET {change}", facts)  # noqa: S608


def _take_over(db: sqlite3.Connection, source: Path, tables: Sequence[Table]) -> tuple[int, list[Table]]:
    """Insert all rows of another database that can be read and aren't there; how many, and what tables aren't whole."""
    taken, torn = 0, []
    try:
        # Read-only: not even its write-ahead log is to be folded into a broken file.
        old = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
        old.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except sqlite3.Error as error:
        logger.error("nothing of %s can be read: %s", source, error)
        return 0, list(tables)
    old.text_factory = _text
    with closing(old):
        for table in tables:
            is_whole = _is_whole(old, table.name)
            try:
                names = _columns(old, table, {row[1] for row in db.execute(f'PRAGMA table_info("{table.name}")')})
            except sqlite3.DatabaseError:
                names = []
            columns, marks = ", ".join(f'"{name}"' for name in names), ", ".join("?" for _ in names)
            of_json, before = _of_json(table, names), db.total_changes
            db.execute("BEGIN IMMEDIATE")
            insert = f'INSERT OR IGNORE INTO "{table.name}" ({columns}) VALUES ({marks})'  # noqa: S608
            for batch in _readable(old, table.name, columns) if names else ():
                sound = [row for row in batch if not _is_spoilt(row, of_json)]
                if len(sound) < len(batch):
                    is_whole = False
                    logger.error("of table %s %d rows can't be read", table.name, len(batch) - len(sound))
                db.executemany(insert, sound)
            db.execute("COMMIT")
            taken += db.total_changes - before
            if not is_whole:
                torn.append(table)
    return taken, torn


def _columns(db: sqlite3.Connection, table: Table, among: Collection[str]) -> list[str]:
    """Names of a table's columns as they stand in a database, as far as they are among some."""
    return [row[1] for row in db.execute(f'PRAGMA table_info("{table.name}")') if row[1] in among]


def _of_json(table: Table, names: Sequence[str]) -> list[int]:
    """Which of some columns hold JSON."""
    return [n for n, name in enumerate(names) if isinstance(table.c[name].type, JSON)]


def _text(written: bytes) -> str | bytearray:
    """Text as SQLite gives it; what is none is nothing that SQLite gives."""
    try:
        return written.decode()
    except UnicodeDecodeError:
        return bytearray()


def _is_spoilt(row: Sequence[Any], of_json: Iterable[int]) -> bool:
    """Whether a page that shows a row would fail: with text that is none, or JSON in one of these columns."""
    try:
        for n in of_json:
            if row[n] is not None:
                json.loads(row[n])
    except (TypeError, ValueError):
        return True
    return any(isinstance(value, bytearray) for value in row)


def _is_whole(db: sqlite3.Connection, table: str) -> bool:
    try:
        return bool(db.execute(f"PRAGMA quick_check('{table}')").fetchone()[0] == "ok")
    except sqlite3.Error:
        return False


def _readable(old: sqlite3.Connection, table: str, columns: str) -> Iterator[list[Any]]:
    """Rows from the beginning up to what can't be read, and where there is such, from the end down to it."""
    for order in ("ASC", "DESC"):
        try:
            cursor = old.execute(f'SELECT {columns} FROM "{table}" ORDER BY rowid {order}')  # noqa: S608
            while True:
                batch = _batch(cursor)
                yield batch.rows
                if batch.error is not None:
                    raise batch.error
                if len(batch.rows) < BATCH:
                    return
        except sqlite3.DatabaseError as error:
            logger.error("of table %s not all can be read: %s", table, error)


class _Batch:
    def __init__(self, rows: list[Any], error: sqlite3.DatabaseError | None) -> None:
        self.rows, self.error = rows, error


def _batch(cursor: sqlite3.Cursor) -> _Batch:
    rows: list[Any] = []
    try:
        for row in cursor:
            rows.append(row)
            if len(rows) == BATCH:
                break
    except sqlite3.DatabaseError as error:
        return _Batch(rows, error)
    return _Batch(rows, None)
