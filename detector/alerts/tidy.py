"""Keeps house at the edge: what is too old goes, and clips when they or their disk are full; clips before alerts.

The folder of clips is the truth: what waits for the hub, what stays since there is no hub, what the hub refused and
what is broken all take room. What goes first is of the least grave incident, and the oldest; of an incident with its
side files. A clip that is being written, or was a moment ago, stays.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from detector.alerts.outbox import Outbox
from detector.alerts.outbox_file import DiskFull
from detector.clock import UNSET, Clock
from detector.config import Buffers
from detector.errors import StoreError
from detector.machine.tended import Tended
from detector.values import DAY_S

logger = logging.getLogger(__name__)

EVERY_S = 60.0
SETTLED_S = 600.0  # a file changed so lately may be about to be handed over
LAST_BYTES = 64 * 2**20  # of the reserve: with less left, and no clip to give up, alerts go
ROOM_INSIDE = 16 * 2**20  # what the outbox is given to write in then, bytes; half of what it takes at most


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    incident: str
    size: int
    changed_at: float


class Tidy(Tended):
    """Looks round when it starts and every minute, in a thread of its own.

    Args:
        outbox: Knows how grave incidents are; forgets what was deleted.
        clips: The folder of clips, with a folder for each camera.
        buffers: How much may be kept.
        clock: Tells the time.
        free: Bytes that are free on the disk.
    """

    def __init__(
        self,
        outbox: Outbox,
        clips: Path,
        buffers: Buffers,
        clock: Clock,
        free: Callable[[Path], int] = lambda folder: shutil.disk_usage(folder).free,
    ) -> None:
        super().__init__("tidy")
        self._outbox = outbox
        self._clips = clips
        self._buffers = buffers
        self._clock = clock
        self._free = free

    def _run(self, stopping: threading.Event) -> None:
        while True:
            try:
                with self.pulse:
                    self.look_round()
            except (StoreError, OSError) as error:
                logger.error("the edge's buffers can't be looked after: %s", error)
            except Exception:  # whatever it is, the next look may do better
                logger.exception("the edge's buffers can't be looked after")
            if stopping.wait(EVERY_S):
                return

    def look_round(self) -> None:
        """Give up what is too old or has no room.

        Raises:
            StoreError: The outbox can't be used.
            OSError: The folder can't be read.
        """
        try:
            self._outbox.room.drop_old()
        except DiskFull as error:  # what goes now gives it room to write
            logger.error("old alerts can't be given up: %s", error)
        files = self._files()
        severities = self._outbox.severities({file.incident for file in files})
        files.sort(key=lambda file: (severities.get(file.incident, 0), file.changed_at, file.path.name))
        settled = [file for file in files if self._is_settled(file)]
        now, longest_s = self._clock.now(), self._buffers.clip_days * DAY_S
        by_age = settled if self._outbox.room.believes_clock else []
        old = [file for file in by_age if UNSET < file.changed_at < now - longest_s]
        gone = self._delete(old, severities, "age")
        settled = [file for file in settled if file.path not in gone]
        too_much = sum(file.size for file in files if file.path not in gone) - self._buffers.clip_gb * 1e9
        gone |= self._delete(_worth(settled, too_much), severities, "bytes")
        settled = [file for file in settled if file.path not in gone]
        reserve = self._buffers.reserve_gb * 1e9
        lacking = reserve - self._free(self._clips.parent)
        gone |= self._delete(_worth(settled, lacking), severities, "disk")
        settled = [file for file in settled if file.path not in gone]
        if not settled and self._free(self._clips.parent) < min(reserve, LAST_BYTES):
            self._give_up_alerts()
        self._outbox.tidy({file.incident for file in files if file.path not in gone})

    def _give_up_alerts(self) -> None:
        inside = self._outbox.room.free_bytes()
        lacking = min(ROOM_INSIDE, (inside + self._outbox.counts()["backlog_bytes"]) // 2) - inside
        if lacking > 0:
            self._outbox.room.drop_for_disk(lacking)

    def _files(self) -> list[_File]:
        found = []
        for path in self._clips.glob("*/*"):
            try:
                known = path.stat()
            except FileNotFoundError:  # just brought to the hub
                continue
            if path.is_file() and not path.name.startswith("."):
                found.append(_File(path, path.name.split(".")[0], known.st_size, known.st_mtime))
        return found

    def _is_settled(self, file: _File) -> bool:
        return file.path.suffix != ".part" and abs(self._clock.now() - file.changed_at) > SETTLED_S

    def _delete(self, files: list[_File], severities: dict[str, int], reason: str) -> set[Path]:
        """Delete files, forget them in the outbox, and count them."""
        dropped = {}
        for file in files:
            try:
                file.path.unlink()
            except FileNotFoundError:
                continue
            except OSError as error:
                logger.error("%s can't be deleted: %s", file.path, error.strerror)
                continue
            dropped[file.path] = severities.get(file.incident, 0)
        if dropped:
            self._outbox.clips.forget_files(dropped, reason)
            logger.error("%d clips and side files are given up (%s)", len(dropped), reason)
        return set(dropped)


def _worth(files: list[_File], size: float) -> list[_File]:
    """The first of these files that free so many bytes, each with all others of its incident."""
    own: dict[str, list[_File]] = {}
    for file in files:
        own.setdefault(file.incident, []).append(file)
    chosen: list[_File] = []
    for theirs in own.values():  # in the order in which the first of each stands
        if size <= 0:
            break
        chosen += theirs
        size -= sum(file.size for file in theirs)
    return chosen
