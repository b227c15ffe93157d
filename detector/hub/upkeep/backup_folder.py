"""A folder of backups: a list of what each holds, and the contents that lists name by their SHA-256, each once.

    BACKUPS/2026-11-25T164012Z.json     what this backup is: the database, every file with its SHA-256, mode and size
    BACKUPS/files/ab/abcdef…            the contents by SHA-256, shared by all backups

A list is written last: a backup that was cut off is none.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from detector.errors import NotThere, StoreError

FILES = "files"  # the folder of contents in a folder of backups
CLIPS = "clips"  # the folder of recordings in a data folder
PIECE = 2**20
Hex = Field(pattern="[0-9a-f]{64}")
Progress = Callable[[int, int], None]  # told of files done, and of how many there are


class Listed(BaseModel):
    """A file of the hub, and which content it had: its size in bytes, its mode as `chmod` takes it."""

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
    database: Listed
    files: list[Listed]


class DamagedContentError(StoreError):
    """A content isn't in the backup as it was."""


class Pool:
    """The contents in a folder of backups, by their SHA-256.

    Attributes:
        copied: How many were put in that weren't there.
        copied_bytes: Their sizes together.
    """

    def __init__(self, folder: Path) -> None:
        self.copied = self.copied_bytes = 0
        self._folder = folder / FILES

    def holds(self, sha256: str, size: int) -> bool:
        """Whether a content is here whole."""
        place = self._place(sha256)
        return place.is_file() and place.stat().st_size == size

    def add(self, path: Path) -> Listed:
        """Copy a file in."""
        digest, size = hashlib.sha256(), 0
        growing = self._folder / f".{os.getpid()}.tmp"
        try:
            with path.open("rb") as source, open(growing, "wb", opener=_for_its_owner) as out:
                while piece := source.read(PIECE):
                    digest.update(piece)
                    out.write(piece)
                    size += len(piece)
                out.flush()
                os.fsync(out.fileno())
            sha256 = digest.hexdigest()
            self._put(growing, sha256, size)
        finally:
            growing.unlink(missing_ok=True)
        return Listed(path=path.name, sha256=sha256, size=size)

    def take_in(self, path: Path) -> Listed:
        """Move a file in from the same disk, which has no room for a large one twice, unless its content is here."""
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            os.fsync(file.fileno())
        size = path.stat().st_size
        self._put(path, sha256, size)
        return Listed(path=path.name, sha256=sha256, size=size)

    def take(self, one: Listed, to: Path) -> None:
        """Copy a content out, comparing its checksum on the way.

        Raises:
            DamagedContentError: It is missing, or another than it was.
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
            raise DamagedContentError(f"the backup is damaged: the content of {one.path} has changed")
        to.chmod(one.mode)

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256

    def _put(self, path: Path, sha256: str, size: int) -> None:
        if not self.holds(sha256, size):
            self._place(sha256).parent.mkdir(exist_ok=True)
            path.replace(self._place(sha256))
            self.copied += 1
            self.copied_bytes += size

    def _pieces(self, one: Listed) -> Iterator[bytes]:
        try:
            with self._place(one.sha256).open("rb") as source:
                while piece := source.read(PIECE):
                    yield piece
        except FileNotFoundError as error:
            raise DamagedContentError(f"the backup isn't whole: {one.path} is missing from it") from error
        except OSError as error:
            why = error.strerror
            raise DamagedContentError(
                f"the backup is damaged: the content of {one.path} can't be read: {why}"
            ) from error


def lists_in(folder: Path) -> Iterator[Path]:
    """The lists of all backups in a folder, in no order; their names sort by the time they were made."""
    return folder.glob(f"{'[0-9]' * 4}-*T*Z.json")


def read_list(file: Path) -> Manifest:
    """What a backup holds.

    Raises:
        NotThere: There is no such backup.
        StoreError: Its list can't be read, or names a file outside the data folder.
    """
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


def newest_database(folder: Path, to: Path) -> float | None:
    """Put the SQLite database of the newest backup that is whole into a file; when it was made, `None` without any."""
    for file in sorted(lists_in(folder), reverse=True):
        try:
            manifest = read_list(file)
            if manifest.kind == "sqlite":
                Pool(folder).take(manifest.database, to)
                return manifest.made_at
        except (StoreError, OSError):
            continue
    return None


def _for_its_owner(path: str, flags: int) -> int:
    """Opens a file that nobody else may read, from its first byte on: among the contents are keys."""
    return os.open(path, flags, 0o600)
