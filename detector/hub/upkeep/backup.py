"""Database and data folder of a hub go into a folder of backups (`backup_folder`) while it runs.

A clip never changes, so the next backup copies only what is new. The database is copied as it stood at one moment;
clips are those that it knows of.

What edges had handed over after that moment is not in it: they delete an alert once the hub has it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from detector.config import HubConfig
from detector.errors import StoreError
from detector.hub.access.anchors import FILE as HEADS
from detector.hub.storage.changes import MEMORY_FILE
from detector.hub.storage.database import engine_of
from detector.hub.storage.lock import NAME as LOCK_FILE
from detector.hub.storage.schema import clips
from detector.hub.upkeep import dumps
from detector.hub.upkeep.backup_folder import CLIPS, FILES, Listed, Manifest, Pool, Progress, lists_in, read_list
from detector.hub.upkeep.database_place import SQLITE, database_kind, database_url, said, sqlite_file
from detector.hub.upkeep.restore import ASIDE, FRESH, RESTORED, refuse_halfway
from detector.machine.whole_files import sha256_of, write_whole
from detector.values import DAY_S
from detector.version import VERSION

# The database is copied by its own means; what is still growing belongs to nobody yet. What comes back goes on from
# another state than the hub that was backed up, so its changes are to be told apart.
LEFT_OUT = {SQLITE, f"{SQLITE}-wal", f"{SQLITE}-shm", f"{SQLITE}-journal", LOCK_FILE, MEMORY_FILE, RESTORED}
# Redacted copies and previews are left out too: the hub makes them again.
UNFINISHED = (".part", ".new", ".tmp", ".copy.mp4")
GROWING = ".growing-"
ALONE = ".lock"  # in a folder of backups: held while one is made
LEFT_BEHIND_S = DAY_S  # what a backup began so long ago and didn't finish, it was killed over


@dataclass(slots=True)
class Report:
    """What was done: sizes in bytes; `missing` names clips that the database knows and the disk doesn't have."""

    file: Path
    files: int = 0
    copied: int = 0
    copied_bytes: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was missing or damaged."""
        return not self.missing and not self.damaged


def back_up(
    config: HubConfig, folder: Path, now: float, *, keep: int | None = None, progress: Progress = lambda *_: None
) -> Report:
    """Copy a hub, running or not, into a folder of backups.

    Args:
        config: Of the hub.
        folder: Of backups; made when missing, and not inside the hub's own data folder.
        now: Unix seconds; names the backup.
        keep: So many backups are kept, older ones deleted; all when left out.
        progress: Told of files done, and of how many there are.

    Raises:
        StoreError: The hub's data can't be read, the folder can't be written, or another backup is being made in it.
        MissingPart: PostgreSQL's `pg_dump` or its driver isn't installed.
    """
    data = config.data_dir.resolve()
    if folder.resolve().is_relative_to(data):
        raise StoreError(f"{folder} lies in the hub's own data_dir: a backup belongs on another disk")
    refuse_halfway(data)
    file = folder / f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H%M%SZ}.json"
    try:
        (folder / FILES).mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(folder), _leaves_no_disk_full(folder):
            try:
                report = _make(config, file, now, progress)
            except (OSError, sqlite3.Error, StoreError) as error:
                # What was copied by then no list names, nor what lists named that somebody deleted to make room.
                if not _is_full(error) or not _forget(folder, keep and max(1, keep - 1)):
                    raise
                report = _make(config, file, now, progress)
            if keep:
                _forget(folder, keep, file)
    except (OSError, sqlite3.Error, SQLAlchemyError, StoreError) as error:
        if isinstance(error, StoreError) and not _is_full(error):
            raise
        hint = " (keep fewer, by --keep, or delete lists of old ones, *.json, and try again)" if _is_full(error) else ""
        raise StoreError(f"no backup was made in {folder}: {said(error)}{hint}") from error
    return report


def _make(config: HubConfig, file: Path, now: float, progress: Progress) -> Report:
    """Copy what is new into the folder of backups, then write the list."""
    data, folder = config.data_dir.resolve(), file.parent
    pool, report = Pool(folder), Report(file)
    _tidy(folder, now)
    # First of all: a head that is kept while the others are copied is of an entry that the dump lacks, which would be
    # called cut off for ever.
    early = [_list(pool, data, path, {}, report) for path in (data / HEADS,) if path.is_file()]
    with tempfile.TemporaryDirectory(dir=folder, prefix=GROWING) as growing:
        kind, dump = _dump(config, Path(growing))
        known = _clips(config, dump)
        database = pool.take_in(dump).model_copy(update={"path": "database"})
    paths = sorted(path for path in _files(data) if path != data / HEADS)
    listed = early
    for done, path in enumerate(paths):
        progress(done, len(paths))
        try:
            listed.append(_list(pool, data, path, known, report))
        except FileNotFoundError:
            continue  # deleted meanwhile; if the database knows it, it is told below
    progress(len(paths), len(paths))
    here = {one.path for one in listed}
    report.missing = sorted(path for path in known if path not in here)
    report.files = len(listed) + 1
    report.copied, report.copied_bytes = pool.copied, pool.copied_bytes
    report.bytes = database.size + sum(one.size for one in listed)
    manifest = Manifest(schema=1, made_at=now, labelwatch=VERSION, kind=kind, database=database, files=listed)
    write_whole(file, manifest.model_dump_json(by_alias=True, indent=1).encode(), mode=0o600)
    return report


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make a backup while nobody else does: what one has copied no list names yet, and another would delete it.

    Raises:
        StoreError: Another one is being made.
    """
    file = os.open(folder / ALONE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StoreError(f"another backup is being made in {folder}: let that one end") from error
        except OSError:
            pass  # a disk in the network that knows no locks
        yield
    finally:
        os.close(file)


@contextmanager
def _leaves_no_disk_full(folder: Path) -> Iterator[None]:
    """Where there was no room in the end, let go of what was copied until then: no list names it."""
    try:
        yield
    except Exception as error:
        if _is_full(error):
            with suppress(OSError, StoreError):  # what is told is why there is no backup
                _forget(folder, None)
        raise


def _list(pool: Pool, data: Path, path: Path, known: dict[str, tuple[str, int]], report: Report) -> Listed:
    """Have a file's content in the pool; what is there already takes neither room nor a write to the disk."""
    relative = path.relative_to(data).as_posix()
    found = known.get(relative)
    mode = path.stat().st_mode & 0o777
    sha256, size = found or (sha256_of(path), path.stat().st_size)
    if path.stat().st_size == size and pool.holds(sha256, size):
        return Listed(path=relative, sha256=sha256, size=size, mode=mode)
    one = pool.add(path).model_copy(update={"path": relative, "mode": mode})
    if found and one.sha256 != found[0]:
        report.damaged.append(relative)
    return one


def _files(data: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(data):
        if Path(folder) == data:
            folders[:] = [name for name in folders if not name.startswith((ASIDE, FRESH))]
        for name in names:
            path = Path(folder) / name
            is_database = Path(folder) == data and name in LEFT_OUT
            if not is_database and not name.endswith(UNFINISHED) and path.is_file() and not path.is_symlink():
                yield path


def _dump(config: HubConfig, growing: Path) -> tuple[str, Path]:
    """The database as it stands now, in a file."""
    dump = growing / "database"
    dump.touch(mode=0o600)  # from the first byte on
    if database_kind(config) != "sqlite":
        dumps.dump(database_url(config), dump)
        return "postgresql", dump
    source = sqlite_file(config)
    if not source.is_file():
        raise StoreError(f"there is no hub's database: {source}")
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live, closing(sqlite3.connect(dump)) as copy:
        live.backup(copy)  # in one step: a hub that writes meanwhile would make it begin anew otherwise
        found = copy.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise StoreError(f"the hub's database is damaged, so no backup was made of it: {found}")
        copy.execute("PRAGMA journal_mode=DELETE")
    return "sqlite", dump


def _clips(config: HubConfig, dump: Path) -> dict[str, tuple[str, int]]:
    """Paths of clips in the data folder, with the checksum and size that the database knows."""
    # Not by `Database`, which would bring a running hub's database to the shape of this program.
    engine = engine_of(f"sqlite:///{dump}" if database_kind(config) == "sqlite" else config.database_url() or "")
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(clips.c.file, clips.c.sha256, clips.c.size)).all()
    finally:
        engine.dispose()
    return {f"{CLIPS}/{PurePosixPath(row.file)}": (row.sha256, row.size) for row in rows}


def _tidy(folder: Path, now: float) -> None:
    """Delete what backups that were killed left unfinished: a whole database each, perhaps."""
    for path in [*folder.glob(f"{GROWING}*"), *(folder / FILES).glob(".*.tmp")]:
        with suppress(FileNotFoundError):  # one that runs beside this one has just ended
            if path.stat().st_mtime > now - LEFT_BEHIND_S:
                continue  # perhaps one runs just now
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()


def _forget(folder: Path, keep: int | None, made: Path | None = None) -> bool:
    """Delete the oldest backups but never the one just `made`, whatever date a clock gave those before; and contents
    that none of the others lists. Whether any went.

    Raises:
        StoreError: The list of one that is kept can't be read; no content is deleted then.
    """
    files = sorted(lists_in(folder), key=lambda file: (file == made, file.name), reverse=True)
    keep = keep or len(files)
    for old in files[keep:]:
        old.unlink()
    listed: set[str] = set()
    for kept in files[:keep]:
        manifest = read_list(kept)
        listed |= {manifest.database.sha256, *(one.sha256 for one in manifest.files)}
    unlisted = [place for place in (folder / FILES).glob("??/*") if place.name not in listed]
    for place in unlisted:
        place.unlink()
    return bool(unlisted)


def _is_full(error: Exception) -> bool:
    """Whether it was for lack of room: by the system's word, SQLite's, or that of one of PostgreSQL's programs."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return (
        (isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT))
        or code == sqlite3.SQLITE_FULL
        or os.strerror(errno.ENOSPC) in str(error)
    )
