"""The clips that wait for the hub, each with its side file.

Files beside the outbox are known by where they lie from there, so that the folder of both can be moved to another disk.
Which uploads failed and when to try them again is kept in memory only.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from detector import wire
from detector.alerts.losses import count_dropped, keep_dead
from detector.alerts.outbox_file import OutboxFile, mending
from detector.clock import Clock

logger = logging.getLogger(__name__)

BETWEEN = 3  # so many clips of new alerts go before one of the backlog, and so on

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


@dataclass(frozen=True, slots=True)
class Clip:
    """A clip segment to upload, or its side file: `what` is `wire.SIDE`.

    `segment` counts from 0, `sha256` is in lower-case hex, `size` in bytes, `started_at` in Unix seconds.
    """

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


@dataclass(frozen=True, slots=True)
class _Tried:
    """How often an upload failed, and when it is due again."""

    attempts: int
    due_at: float


class ClipQueue:
    """Part of an outbox; safe to use from several threads.

    Attributes:
        new_clip: Set whenever a clip may have become due.
    """

    def __init__(self, file: OutboxFile, clock: Clock) -> None:
        self._file = file
        self._clock = clock
        self._tried: dict[tuple[str, int, str | None], _Tried] = {}
        self._in_turn = 0
        self.new_clip = threading.Event()

    def load(self) -> None:
        """The file was opened: all that is in it is the backlog."""
        self._tried.clear()
        self._new_since = self._clock.now()

    @mending
    def put(self, clip: Clip) -> None:
        """Keep it for upload; the file stays where it is until the hub has it.

        Raises:
            DiskFull: There is no room for it.
            StoreError: The database can't be written.
        """
        path = self._from_here(clip.path)
        row = (*clip.key[:2], clip.camera, path, clip.sha256, clip.size, clip.started_at, clip.duration_s)
        insert = f"INSERT OR REPLACE INTO {_table(clip.what)} VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        with self._file.transaction():
            self._file.execute(insert, (*row, self._clock.now()))
            self._tried.pop(clip.key, None)
        self.new_clip.set()

    @mending
    def next_due(self) -> Clip | None:
        """A clip that is due and whose incident has no envelope waiting; `None` when there is none.

        Those of new alerts come first, but every fourth is of the backlog: of each the gravest first, then the oldest.
        Where no clip is, a side file that is due, and whose clip isn't waiting either, likewise.
        """
        with self._file.locked():
            for what in (None, wire.SIDE):
                is_turn_of_old = self._in_turn >= BETWEEN
                for is_new in (not is_turn_of_old, is_turn_of_old):
                    clip = self._first_due(what, is_new=is_new)
                    if clip is not None:
                        self._in_turn = self._in_turn + 1 if is_new else 0
                        return clip
        return None

    def _first_due(self, what: str | None, *, is_new: bool) -> Clip | None:
        now = self._clock.now()
        rows = self._file.execute(DUE[what, is_new], (self._new_since,))
        for incident, segment, camera, path, sha256, size, started_at, duration_s in rows:
            tried = self._tried.get((incident, segment, what))
            if tried is None or tried.due_at <= now:
                place = self._file.folder / path
                return Clip(incident, segment, camera, place, sha256, size, started_at, duration_s, what)
        return None

    def _from_here(self, path: Path) -> str:
        folder = self._file.folder
        return str(path.relative_to(folder) if path.is_relative_to(folder) else path)

    def resend_all(self, new_since: float) -> None:
        """The way to the hub is a new one: all are due now, and new are those put since a time."""
        with self._file.locked():
            self._new_since = new_since
            self._tried = {key: _Tried(tried.attempts, 0.0) for key, tried in self._tried.items()}
        self.new_clip.set()

    def postpone(self, clip: Clip, delay_s: float) -> None:
        """An upload failed: it is due again after so many seconds."""
        with self._file.locked():
            self._tried[clip.key] = _Tried(self.attempts(clip) + 1, self._clock.now() + delay_s)

    def attempts(self, clip: Clip) -> int:
        """How often its upload failed since the start."""
        with self._file.locked():
            tried = self._tried.get(clip.key)
            return tried.attempts if tried else 0

    def done(self, clip: Clip) -> None:
        """The hub has the clip: forget it."""
        self._remove(clip, None)

    def bury(self, clip: Clip, reason: str) -> None:
        """Give a clip up for good; its file stays, its row becomes a dead letter."""
        self._remove(clip, reason)
        logger.error("clip %s is given up: %s", clip.name, reason)

    @mending
    def _remove(self, clip: Clip, reason: str | None) -> None:
        delete = f"DELETE FROM {_table(clip.what)} WHERE incident = ? AND segment = ?"  # noqa: S608
        with self._file.transaction():
            is_here = self._file.execute(delete, (clip.incident, clip.segment)).rowcount
            if reason is not None and is_here:  # else it was dropped meanwhile, and counted
                content = json.dumps(asdict(clip), default=str)
                keep_dead(self._file, clip.what or "clip", clip.name, reason, self._clock.now(), content)
            self._tried.pop(clip.key, None)

    def drop(self, incidents: list[str], reason: str) -> list[Path]:
        """Give up, within the caller's transaction, what shows these incidents; files to be deleted after it."""
        files, names = [], json.dumps(incidents)
        for table, what in (("clips", "clip"), ("sides", "side")):
            delete = f"DELETE FROM {table} WHERE incident IN (SELECT value FROM json_each(?)) RETURNING path, incident"  # noqa: S608
            for path, incident in self._file.query(delete, (names,)) if incidents else ():
                files.append(self._file.folder / path)
                if what == "clip":
                    found = self._file.query("SELECT severity FROM stories WHERE incident = ?", (incident,))
                    count_dropped(self._file, "clip", reason, found[0][0] if found else 0)
        return files

    @mending
    def forget_files(self, dropped: Mapping[Path, int], reason: str) -> None:
        """Clips and side files were deleted for want of room or for age: nothing waits for them, clips are counted.

        Args:
            dropped: Their paths, with how grave their incident was.
            reason: `bytes`, `age` or `disk`.

        Raises:
            StoreError: The database can't be written.
        """
        # An outbox of an older version knows them by their whole paths.
        names = json.dumps([name for path in dropped for name in (self._from_here(path), str(path))])
        with self._file.transaction():
            for table in ("clips", "sides"):
                self._file.execute(f"DELETE FROM {table} WHERE path IN (SELECT value FROM json_each(?))", (names,))  # noqa: S608
            for path, severity in dropped.items():
                if path.suffix != ".gz":
                    count_dropped(self._file, "clip", reason, severity)

    @mending
    def count(self) -> int:
        """How many clips wait, side files not among them."""
        with self._file.locked():
            return self._file.one("SELECT COUNT(*) FROM clips")

    @mending
    def is_empty(self) -> bool:
        """Whether nothing waits, side files neither."""
        with self._file.locked():
            return not self._file.one("SELECT (SELECT COUNT(*) FROM clips) + (SELECT COUNT(*) FROM sides)")


def _table(what: str | None) -> str:
    return "sides" if what == wire.SIDE else "clips"
