"""Database and data folder of a hub go into a folder of backups while it runs, and come back into an empty one.

    BACKUPS/2026-11-25T164012Z.json     what this backup is: the database, every file with its SHA-256, mode and size
    BACKUPS/files/ab/abcdef…            the contents by SHA-256, each once, shared by all backups

A clip never changes, so the next backup copies only what is new. The list is written last: a backup that was cut off
is none. The database is copied as it stood at one moment; clips are those that it knows of.

What edges had handed over after that moment is not in it: they delete an alert once the hub has it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from sqlalchemy import URL, make_url, select
from sqlalchemy.exc import SQLAlchemyError

from detector.config import HubConfig
from detector.errors import NotThere, StoreError
from detector.hub.access.anchors import FILE as HEADS
from detector.hub.storage.audit_chain import add_entry
from detector.hub.storage.changes import MEMORY_FILE
from detector.hub.storage.database import Database, engine_of
from detector.hub.storage.lock import NAME as LOCK_FILE
from detector.hub.storage.lock import DatabaseLock, DataLock
from detector.hub.storage.schema import clips
from detector.hub.upkeep import dumps
from detector.hub.upkeep.console import at_console
from detector.hub.upkeep.moving import fill_from_sqlite
from detector.machine.whole_files import give, make_folder, sha256_of, sync_folder, write_whole
from detector.values import DAY_S
from detector.version import VERSION

SQLITE = "hub.sqlite"
FORMER = "database.dump"  # for pg_restore
RESTORED = "restored.json"  # in a data folder that was brought back, until the hub has it in its audit log
HALFWAY = "restoring"  # in one that is neither the one nor the other: names where what was there goes
# The database is copied by its own means; what is still growing belongs to nobody yet. What comes back goes on from
# another state than the hub that was backed up, so its changes are to be told apart.
LEFT_OUT = {SQLITE, f"{SQLITE}-wal", f"{SQLITE}-shm", f"{SQLITE}-journal", LOCK_FILE, MEMORY_FILE, RESTORED}
# Redacted copies and previews are left out too: the hub makes them again.
UNFINISHED = (".part", ".new", ".tmp", ".copy.mp4")
FRESH, ASIDE = ".restoring", "before-"  # of a data folder: what comes into it, what was in it, the time following
CLIPS = "clips"  # the folder of recordings in a data folder
STAYS = {LOCK_FILE, HALFWAY, "lost+found"}  # in a data folder, whatever is brought back into it
PIECE = 2**20
GROWING = ".growing-"
ALONE = ".lock"  # in a folder of backups: held while one is made
LEFT_BEHIND_S = DAY_S  # what a backup began so long ago and didn't finish, it was killed over
Progress = Callable[[int, int], None]
Hex = Field(pattern="[0-9a-f]{64}")


class _Listed(BaseModel):
    model_config = ConfigDict(extra="ignore")

    path: str
    sha256: str = Hex
    size: int = Field(ge=0)
    mode: int = Field(0o600, ge=0, le=0o777)


class Manifest(BaseModel):
    """What a backup holds: times are Unix seconds, paths relative to the hub's data folder."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    version: int = Field(1, alias="schema", ge=1, le=1)
    made_at: float
    labelwatch: str
    kind: str = Field(pattern="sqlite|postgresql")
    database: _Listed
    files: list[_Listed]


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
    name = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H%M%SZ}.json"
    report = Report(folder / name)
    pool = _Pool(folder / "files")
    try:
        pool.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _alone(folder), _leaves_no_disk_full(folder):
            try:
                _make(config, folder, pool, now, report, progress)
            except (OSError, sqlite3.Error, StoreError) as error:
                # What was copied by then no list names, nor what lists named that somebody deleted to make room.
                if not _is_full(error) or not _forget(folder, keep and max(1, keep - 1)):
                    raise
                report = Report(report.file)
                _make(config, folder, pool, now, report, progress)
            if keep:
                _forget(folder, keep, report.file)
    except (OSError, sqlite3.Error, SQLAlchemyError, StoreError) as error:
        if isinstance(error, StoreError) and not _is_full(error):
            raise
        hint = " (keep fewer, by --keep, or delete lists of old ones, *.json, and try again)" if _is_full(error) else ""
        raise StoreError(f"no backup was made in {folder}: {_said(error)}{hint}") from error
    return report


def _make(config: HubConfig, folder: Path, pool: _Pool, now: float, report: Report, progress: Progress) -> None:
    """Copy what is new into the pool, then write the list that the report names."""
    data = config.data_dir.resolve()
    _tidy(folder, now)
    # First of all: a head that is kept while the others are copied is of an entry that the dump lacks, which would be
    # called cut off for ever.
    early = [_list(pool, data, path, {}, report) for path in (data / HEADS,) if path.is_file()]
    with tempfile.TemporaryDirectory(dir=folder, prefix=GROWING) as growing:
        kind, dump = _dump(config, Path(growing))
        known = _clips(config, dump)
        database = pool.take_in(dump, report).model_copy(update={"path": "database"})
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
    report.bytes = database.size + sum(one.size for one in listed)
    manifest = Manifest(schema=1, made_at=now, labelwatch=VERSION, kind=kind, database=database, files=listed)
    write_whole(report.file, manifest.model_dump_json(by_alias=True, indent=1).encode(), mode=0o600)


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


def restore(
    file: Path,
    config: HubConfig,
    *,
    force: bool = False,
    left_out: list[str] | None = None,
    now: float,
    progress: Progress = lambda *_: None,
) -> Path | None:
    """Bring a backup back as a hub's data folder (and PostgreSQL database, be it of a hub that kept all in SQLite).

    Every checksum is compared before anything of the hub is touched. What is in the folder is moved aside file by file,
    since the folder itself can't be where it is a disk of its own, or what is above it isn't its owner's: what was in
    it, and what comes, lie within it then.

    Args:
        file: The backup's list, `2026-11-25T164012Z.json`.
        config: Of the hub, which must not be running.
        force: Where the data folder isn't empty, move aside what is in it; what a PostgreSQL database holds of
            a hub is replaced, and dumped before.
        left_out: Recordings that are missing from the backup, or damaged in it, are left out, and their paths put here;
            without a list they are an error. All backups have a content once, so that no other has it whole.
        now: Unix seconds; names what is moved aside.
        progress: Told of files done, and of how many there are.

    Returns:
        Where all that was in the data folder is now, with a dump of the former PostgreSQL database (`FORMER`); `None`
        when there was neither.

    Raises:
        NotThere: There is no such backup.
        StoreError: The backup isn't whole, a hub is running, or there is data and no `force`.
        MissingPart: PostgreSQL's `pg_dump`, `pg_restore`, `psql` or its driver isn't installed.
    """
    manifest, kind = _read(file), _kind(config)
    if (manifest.kind, kind) == ("postgresql", "sqlite"):
        raise StoreError(f"the backup is of a hub with {manifest.kind}, the configuration names {kind}")
    if kind == "sqlite":
        _sqlite_file(config)
    places = _Places.of(config.data_dir.resolve(), now)
    try:
        with _no_hub_in(places.data, config):
            former = places.former()
            there = [] if kind == "sqlite" else dumps.tables(_url(config))
            if former and not force:
                raise StoreError(f"{places.data} isn't empty: --force moves it aside")
            if there and not force:
                raise StoreError("the database isn't empty: --force replaces the hub's tables in it")
            with places.made_ready():
                dump = _lay_out(manifest, _Pool(file.parent / "files"), places.fresh, left_out, progress)
                if former or there:
                    places.aside.mkdir(mode=0o700)
                # Not into the database itself, whose shape this program may not know.
                told = {"at": now, "by": at_console(), "file": file.name, "made_at": manifest.made_at}
                write_whole(places.fresh / RESTORED, json.dumps(told), mode=0o600)
                with places.halfway():
                    if kind == "sqlite":
                        dump.replace(places.fresh / SQLITE)
                    else:
                        _replace_database(config, there, manifest.kind, dump, places.aside / FORMER)
                    progress(len(manifest.files) + 1, len(manifest.files) + 1)
                    places.exchange(former)
    except (OSError, sqlite3.Error, SQLAlchemyError) as error:
        raise StoreError(f"the backup could not be brought back: {_said(error)}{places.kept()}") from error
    except StoreError as error:
        raise StoreError(f"{error}{places.kept()}") from error
    return places.aside if places.aside.exists() else None


@dataclass(frozen=True, slots=True)
class _Places:
    """A data folder that a backup comes into, where that is made ready, and where what was in it goes.

    The two lie beside it, or within it where it is a disk of its own, or what is above it isn't its owner's.
    """

    data: Path
    fresh: Path
    aside: Path

    @classmethod
    def of(cls, data: Path, now: float) -> _Places:
        before = f"{ASIDE}{datetime.fromtimestamp(now, UTC):%Y-%m-%dT%H%M%SZ}"
        if data.exists() and (data.is_mount() or not os.access(data.parent, os.W_OK)):
            return cls(data, data / FRESH, data / before)
        return cls(data, data.with_name(f".{data.name}{FRESH}"), data.with_name(f"{data.name}.{before}"))

    def former(self) -> list[Path]:
        """What is in the folder, but for what was moved aside in it before, and what comes into it."""
        ours = {self.fresh, *self.data.glob(f"{ASIDE}*")}
        return [path for path in self.data.iterdir() if path.name not in STAYS and path not in ours]

    @contextmanager
    def made_ready(self) -> Iterator[None]:
        """Have room to make it ready; what is left there goes, as does an empty folder for what there was."""
        shutil.rmtree(self.fresh, ignore_errors=True)
        self.fresh.mkdir(parents=True, mode=0o700)
        try:
            yield
        finally:
            shutil.rmtree(self.fresh, ignore_errors=True)
            with suppress(OSError):
                self.aside.rmdir()

    @contextmanager
    def halfway(self) -> Iterator[None]:
        """Should this be killed, no hub is to start with what is there then; where it fails, all is as it was."""
        mark = self.data / HALFWAY
        was_there = mark.exists()
        if not was_there:
            write_whole(mark, str(self.aside), mode=0o600)
        try:
            yield
        except Exception:
            if not was_there:
                mark.unlink()
            raise
        mark.unlink()
        sync_folder(self.data)

    def exchange(self, former: Sequence[Path]) -> None:
        """Put what was in the folder aside, and what is ready in its place; or leave the folder as it was."""
        owner = self.data.stat()
        for path in (*self.fresh.rglob("*"), self.aside, self.aside / FORMER):
            give(path, owner)  # by sudo, say: a hub under its own user must be able to read it
        with suppress(OSError):  # a disk of its own may be root's
            self.data.chmod(0o700)
        ways = [(path, self.aside / path.name) for path in former]
        ways += [(path, self.data / path.name) for path in self.fresh.iterdir()]
        gone: list[tuple[Path, Path]] = []
        try:
            for path, to in ways:
                path.rename(to)
                gone.append((path, to))
        except OSError:  # one of them may be a disk of its own, say
            for path, to in reversed(gone):
                to.rename(path)
            raise
        sync_folder(self.data)

    def kept(self) -> str:
        """What is to be said of a dump that was made before something failed; the database may be as it was, or not."""
        dump = self.aside / FORMER
        return f" (what the database held before is kept as {dump})" if dump.exists() else ""


@contextmanager
def _no_hub_in(data: Path, config: HubConfig) -> Iterator[None]:
    """Keep hubs from a data folder, made when missing, and from the database: what one that starts meanwhile takes in
    would be moved aside. A folder that was made, and into which nothing came, goes again.

    Raises:
        StoreError: One is there; also one with another folder that uses the database.
    """
    was_there = data.exists()
    make_folder(data)
    folder = DataLock(data)
    try:
        give(data / LOCK_FILE, data.stat())
        database = DatabaseLock(config.database_url() or "sqlite://")
        try:
            yield
        finally:
            database.release()
    finally:
        with suppress(OSError):
            if not was_there and [path.name for path in data.iterdir()] == [LOCK_FILE]:
                (data / LOCK_FILE).unlink()
                data.rmdir()
        folder.release()


def _lay_out(manifest: Manifest, pool: _Pool, fresh: Path, left_out: list[str] | None, progress: Progress) -> Path:
    """Copy all of a backup into an empty folder, but for what is left out; where the database is in it."""
    for done, one in enumerate([*manifest.files, manifest.database]):
        progress(done, len(manifest.files) + 1)
        try:
            pool.take(one, fresh / one.path)
        except _DamagedError as error:
            if PurePosixPath(one.path).parts[0] != CLIPS:
                raise
            if left_out is None:
                raise StoreError(f"{error} (--without-damaged leaves such recordings out)") from error
            (fresh / one.path).unlink(missing_ok=True)
            left_out.append(one.path)
    return fresh / manifest.database.path


def _replace_database(config: HubConfig, there: Sequence[str], kind: str, dump: Path, former: Path) -> None:
    """Put a copy of a database of some kind, which goes, in the place of the hub's tables of PostgreSQL.

    These are dumped before, in their last place, so that they are there whatever happens then.
    """
    if there:
        _keep(config, former)
    put = dumps.replace if kind == "postgresql" else fill_from_sqlite
    put(_url(config), there, dump)
    for part in dump.parent.glob(f"{dump.name}*"):
        part.unlink()


def refuse_halfway(data: Path) -> None:
    """Look whether a backup was coming into a hub's data folder when that was cut off.

    Raises:
        StoreError: It was, and hasn't been brought back since.
    """
    mark = data / HALFWAY
    if mark.exists():
        hint = (
            f"run labelwatch restore again, with --force; what was there before, if anything, is in {mark.read_text()}"
        )
        raise StoreError(f"{data} is half of what it was, half of a backup, since restore was cut off: {hint}")


def note_restored(data: Path, database: Database) -> None:
    """Have the audit log say that what follows on a backup was brought back to it: what came after is gone from the
    log as well, and nothing else would tell.

    Args:
        data: Folder of a hub that starts.
        database: Its own.
    """
    file = data / RESTORED
    if file.exists():
        told = json.loads(file.read_bytes())
        with database.writing() as connection:
            add_entry(connection, told["at"], told["by"], "restored", told["file"], made_at=told["made_at"])
        file.unlink()


def _for_its_owner(path: str, flags: int) -> int:
    """Opens a file that nobody else may read, from its first byte on: among the contents are keys."""
    return os.open(path, flags, 0o600)


class _DamagedError(StoreError):
    """A content isn't in the backup as it was."""


class _Pool:
    """Contents by their SHA-256."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def place(self, sha256: str) -> Path:
        return self.folder / sha256[:2] / sha256

    def holds(self, sha256: str, size: int) -> bool:
        place = self.place(sha256)
        return place.is_file() and place.stat().st_size == size

    def add(self, path: Path, report: Report) -> _Listed:
        """Copy a file in."""
        digest, size = hashlib.sha256(), 0
        growing = self.folder / f".{os.getpid()}.tmp"
        try:
            with path.open("rb") as source, open(growing, "wb", opener=_for_its_owner) as out:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
                    size += len(piece)
                out.flush()
                os.fsync(out.fileno())
            sha256 = digest.hexdigest()
            self._put(growing, sha256, size, report)
        finally:
            growing.unlink(missing_ok=True)
        return _Listed(path=path.name, sha256=sha256, size=size)

    def take_in(self, path: Path, report: Report) -> _Listed:
        """Move a file in from the same disk, which has no room for a large one twice, unless its content is here."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        size = path.stat().st_size
        self._put(path, sha256, size, report)
        return _Listed(path=path.name, sha256=sha256, size=size)

    def _put(self, path: Path, sha256: str, size: int, report: Report) -> None:
        if not self.holds(sha256, size):
            self.place(sha256).parent.mkdir(exist_ok=True)
            path.replace(self.place(sha256))
            report.copied += 1
            report.copied_bytes += size

    def take(self, one: _Listed, to: Path) -> None:
        """Copy a content out, comparing its checksum on the way.

        Raises:
            _DamagedError: It is missing, or another than it was.
        """
        to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256()
        with open(to, "wb", opener=_for_its_owner) as out:
            for piece in self._pieces(one):
                digest.update(piece)
                out.write(piece)
            out.flush()
            os.fsync(out.fileno())
        if digest.hexdigest() != one.sha256:
            raise _DamagedError(f"the backup is damaged: the content of {one.path} has changed")
        to.chmod(one.mode)

    def _pieces(self, one: _Listed) -> Iterator[bytes]:
        try:
            with self.place(one.sha256).open("rb") as source:
                while piece := source.read(PIECE):
                    yield piece
        except FileNotFoundError as error:
            raise _DamagedError(f"the backup isn't whole: {one.path} is missing from it") from error
        except OSError as error:
            why = error.strerror
            raise _DamagedError(f"the backup is damaged: the content of {one.path} can't be read: {why}") from error


def newest_database(folder: Path, to: Path) -> float | None:
    """Put the SQLite database of the newest backup that is whole into a file; when it was made, `None` without any."""
    for file in sorted(folder.glob(f"{'[0-9]' * 4}-*T*Z.json"), reverse=True):
        try:
            manifest = _read(file)
            if manifest.kind == "sqlite":
                _Pool(folder / "files").take(manifest.database, to)
                return manifest.made_at
        except (StoreError, OSError):
            continue
    return None


def _list(pool: _Pool, data: Path, path: Path, known: dict[str, tuple[str, int]], report: Report) -> _Listed:
    """Have a file's content in the pool; what is there already takes neither room nor a write to the disk."""
    relative = path.relative_to(data).as_posix()
    found = known.get(relative)
    mode = path.stat().st_mode & 0o777
    sha256, size = found or (sha256_of(path), path.stat().st_size)
    if path.stat().st_size == size and pool.holds(sha256, size):
        return _Listed(path=relative, sha256=sha256, size=size, mode=mode)
    one = pool.add(path, report).model_copy(update={"path": relative, "mode": mode})
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


def _url(config: HubConfig) -> URL:
    return make_url(config.database_url() or "")


def _kind(config: HubConfig) -> str:
    url = config.database_url()
    return make_url(url).get_backend_name() if url else "sqlite"


def _sqlite_file(config: HubConfig) -> Path:
    """Where the hub's SQLite database is.

    Raises:
        StoreError: The configuration names another place than the usual, which is no part of the data folder.
    """
    usual = config.data_dir / SQLITE
    url = config.database_url()
    named = make_url(url).database if url else None
    if named and Path(named).resolve() != usual.resolve():
        raise StoreError(
            f"a SQLite database is backed up, and brought back, in its usual place only: {usual}, not {named}"
        )
    return usual


def _dump(config: HubConfig, growing: Path) -> tuple[str, Path]:
    """The database as it stands now, in a file."""
    dump = growing / "database"
    dump.touch(mode=0o600)  # from the first byte on
    if _kind(config) != "sqlite":
        dumps.dump(_url(config), dump)
        return "postgresql", dump
    source = _sqlite_file(config)
    if not source.is_file():
        raise StoreError(f"there is no hub's database: {source}")
    with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as live, closing(sqlite3.connect(dump)) as copy:
        live.backup(copy)  # in one step: a hub that writes meanwhile would make it begin anew otherwise
        said = copy.execute("PRAGMA quick_check").fetchone()[0]
        if said != "ok":
            raise StoreError(f"the hub's database is damaged, so no backup was made of it: {said}")
        copy.execute("PRAGMA journal_mode=DELETE")
    return "sqlite", dump


def _clips(config: HubConfig, dump: Path) -> dict[str, tuple[str, int]]:
    """Paths of clips in the data folder, with the checksum and size that the database knows."""
    # Not by `Database`, which would bring a running hub's database to the shape of this program.
    engine = engine_of(f"sqlite:///{dump}" if _kind(config) == "sqlite" else config.database_url() or "")
    try:
        with engine.connect() as connection:
            rows = connection.execute(select(clips.c.file, clips.c.sha256, clips.c.size)).all()
    finally:
        engine.dispose()
    return {f"{CLIPS}/{PurePosixPath(row.file)}": (row.sha256, row.size) for row in rows}


def _read(file: Path) -> Manifest:
    if file.is_dir():
        newest = max((one.name for one in file.glob("*.json")), default=None)
        if newest is None:
            raise StoreError(f"{file} is a folder without backups: name a file that `labelwatch backup` made")
        raise StoreError(f"{file} is the folder: name one of the backups in it (the newest: {newest})")
    try:
        manifest = Manifest.model_validate_json(file.read_bytes())
    except FileNotFoundError as error:
        raise NotThere(file, "backup", "a file that `labelwatch backup` made and named") from error
    except (OSError, ValidationError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is damaged, or no list of a backup"
        raise StoreError(f"{file} can't be read: {reason}") from error
    for one in (*manifest.files, manifest.database):
        path = PurePosixPath(one.path)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise StoreError(f"{file} names a file outside the data folder: {one.path!r}")
    return manifest


def _tidy(folder: Path, now: float) -> None:
    """Delete what backups that were killed left unfinished: a whole database each, perhaps."""
    for path in [*folder.glob(f"{GROWING}*"), *(folder / "files").glob(".*.tmp")]:
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
    files = sorted(folder.glob(f"{'[0-9]' * 4}-*T*Z.json"), key=lambda file: (file == made, file.name), reverse=True)
    keep = keep or len(files)
    for old in files[keep:]:
        old.unlink()
    listed: set[str] = set()
    for kept in files[:keep]:
        manifest = _read(kept)
        listed |= {manifest.database.sha256, *(one.sha256 for one in manifest.files)}
    unlisted = [place for place in (folder / "files").glob("??/*") if place.name not in listed]
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


def _said(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(getattr(error, "orig", error))


def _keep(config: HubConfig, to: Path) -> None:
    """Dump what a PostgreSQL database holds before it is replaced."""
    try:
        dumps.dump(_url(config), to)
        to.chmod(0o600)
    except StoreError as error:
        to.unlink(missing_ok=True)
        hint = "where it can't be read any more, drop and make it anew by hand"
        raise StoreError(f"the database isn't replaced, since it can't be kept: {error} ({hint})") from error
