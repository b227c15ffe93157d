"""A backup comes back into an empty data folder of a hub, and its database; what was there is moved aside."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from sqlalchemy.exc import SQLAlchemyError

from detector.config import HubConfig
from detector.errors import StoreError
from detector.hub.storage.audit_chain import add_entry
from detector.hub.storage.database import Database
from detector.hub.storage.lock import NAME as LOCK_FILE
from detector.hub.storage.lock import DatabaseLock, DataLock
from detector.hub.upkeep import dumps
from detector.hub.upkeep.backup_folder import CLIPS, DamagedContentError, Manifest, Pool, Progress, read_list
from detector.hub.upkeep.console import at_console
from detector.hub.upkeep.database_place import SQLITE, database_kind, database_url, said, sqlite_file
from detector.hub.upkeep.moving import fill_from_sqlite
from detector.machine.whole_files import give, make_folder, sync_folder, write_whole

FORMER = "database.dump"  # for pg_restore
RESTORED = "restored.json"  # in a data folder that was brought back, until the hub has it in its audit log
HALFWAY = "restoring"  # in one that is neither the one nor the other: names where what was there goes
FRESH, ASIDE = ".restoring", "before-"  # of a data folder: what comes into it, what was in it, the time following
STAYS = {LOCK_FILE, HALFWAY, "lost+found"}  # in a data folder, whatever is brought back into it


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
    manifest, kind = read_list(file), database_kind(config)
    if (manifest.kind, kind) == ("postgresql", "sqlite"):
        raise StoreError(f"the backup is of a hub with {manifest.kind}, the configuration names {kind}")
    if kind == "sqlite":
        sqlite_file(config)
    places = _Places.of(config.data_dir.resolve(), now)
    try:
        with _no_hub_in(places.data, config):
            former = places.former()
            there = [] if kind == "sqlite" else dumps.tables(database_url(config))
            if former and not force:
                raise StoreError(f"{places.data} isn't empty: --force moves it aside")
            if there and not force:
                raise StoreError("the database isn't empty: --force replaces the hub's tables in it")
            with places.made_ready():
                dump = _lay_out(manifest, Pool(file.parent), places.fresh, left_out, progress)
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
        raise StoreError(f"the backup could not be brought back: {said(error)}{places.kept()}") from error
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


def _lay_out(manifest: Manifest, pool: Pool, fresh: Path, left_out: list[str] | None, progress: Progress) -> Path:
    """Copy all of a backup into an empty folder, but for what is left out; where the database is in it."""
    for done, one in enumerate([*manifest.files, manifest.database]):
        progress(done, len(manifest.files) + 1)
        try:
            pool.take(one, fresh / one.path)
        except DamagedContentError as error:
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
    put(database_url(config), there, dump)
    for part in dump.parent.glob(f"{dump.name}*"):
        part.unlink()


def _keep(config: HubConfig, to: Path) -> None:
    """Dump what a PostgreSQL database holds before it is replaced."""
    try:
        dumps.dump(database_url(config), to)
        to.chmod(0o600)
    except StoreError as error:
        to.unlink(missing_ok=True)
        hint = "where it can't be read any more, drop and make it anew by hand"
        raise StoreError(f"the database isn't replaced, since it can't be kept: {error} ({hint})") from error


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
