"""A data folder enters; numbers leave that only ever grow: across restarts, and whatever happens to the clock.

The hub tells a new word of this edge from an old one that somebody says again by these numbers. They are milliseconds
where the clock allows, else one more than the last. The file holds the end of a span that is used up in memory, so
that it is written once an hour and not with every number; a restart begins after that span. Ahead of the clock the
spans are short: a box that crashes all night must not come days ahead, for should it then lose the file, the hub would
hear nothing of it until the clock has caught up.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import suppress
from pathlib import Path

from detector.clock import Clock
from detector.machine.whole_files import write_whole

logger = logging.getLogger(__name__)

FILE = "serial"
SPAN = 3_600_000  # an hour, in numbers
SHORT_SPAN = 10_000  # of one number a word: what an edge says of itself in hours
HIGHEST = 2**53  # what every reader of JSON counts exactly; the year 287396


class Serials:
    """Numbers that grow. Any thread may ask.

    Args:
        clock: Tells the time.
        data_dir: Where the file is; without one, they grow during the life of this object only.
    """

    def __init__(self, clock: Clock, data_dir: Path | None = None) -> None:
        self._clock = clock
        self._file = data_dir / FILE if data_dir else None
        self._lock = threading.Lock()
        self._failed = False
        self._last = self._end = self._read()

    def next(self) -> int:
        """A number higher than every one before."""
        with self._lock:
            now = round(self._clock.now() * 1000)
            self._last = max(self._last + 1, now)
            if self._last > self._end:
                self._reserve(self._last + (SPAN if self._last == now else SHORT_SPAN))
            return self._last

    def _read(self) -> int:
        if self._file is not None:
            with suppress(OSError, ValueError):
                end = int(self._file.read_bytes()[:32])
                return end if 0 < end < HIGHEST else 0
        return 0

    def _reserve(self, end: int) -> None:
        """Begin a span; where the file can't be written the next number tries again.

        Were it not, a restart would give out the same numbers once more, and the hub take all that this edge says of
        itself for words said again. After some restarts they are hours ahead of the clock, which doesn't help then.
        """
        try:
            if self._file is not None:
                self._keep(self._file, f"{end}\n".encode())
        except OSError as error:
            if not self._failed:
                logger.warning("%s can't be written: %s", self._file, error.strerror)
            self._failed = True
            return
        self._end, self._failed = end, False

    @staticmethod
    def _keep(file: Path, content: bytes) -> None:
        try:
            write_whole(file, content)
        except OSError:
            with file.open("r+b") as same:  # no longer than before, so it takes no room on a full disk
                same.write(content)
                same.truncate()
                same.flush()
                os.fsync(same.fileno())
