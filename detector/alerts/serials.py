"""A data folder enters; numbers leave that only ever grow: across restarts, and whatever happens to the clock.

The hub tells a new word of this edge from an old one that somebody says again by these numbers. They are milliseconds
where the clock allows, else one more than the last. The file holds the end of a span that is used up in memory, so
that it is written once an hour and not with every number; a restart begins after that span.
"""

from __future__ import annotations

import logging
import threading
from contextlib import suppress
from pathlib import Path

from detector.clock import Clock
from detector.whole_files import write_whole

logger = logging.getLogger(__name__)

FILE = "serial"
SPAN = 3_600_000  # an hour, in numbers
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
        self._last = self._end = self._read()

    def next(self) -> int:
        """A number higher than every one before."""
        with self._lock:
            self._last = max(self._last + 1, round(self._clock.now() * 1000))
            if self._last > self._end:
                self._end = self._last + SPAN
                self._write()
            return self._last

    def _read(self) -> int:
        if self._file is not None:
            with suppress(OSError, ValueError):
                end = int(self._file.read_bytes()[:32])
                return end if 0 < end < HIGHEST else 0
        return 0

    def _write(self) -> None:
        if self._file is None:
            return
        try:
            write_whole(self._file, f"{self._end}\n")
        except OSError as error:  # as long as the clock goes forward nothing hangs on it
            logger.warning("%s can't be written: %s", self._file, error.strerror)
