"""Time at the edges: wall-clock seconds (UTC) that never step back, and sleep.

Nothing between a source and a sink asks what time it is; frames bring their time with them.
"""

from __future__ import annotations

import ctypes
import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from datetime import time as clock_time
from math import ceil
from typing import Protocol

UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)
UNSET = 1_767_225_600.0  # 2026 had begun when this was written: an earlier time was told by a clock that wasn't set
APART_S = 2.0  # what a time server corrects bit by bit moves the monotonic clock as well: only steps part the two
LASTING_S = 5.0
QUARTER_S = 900.0  # every clock is put back, and begins its day, at a quarter of an hour


class Clock(Protocol):
    """What a source, a sink or a worker may ask about time."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """Wall time read once and carried forward by the monotonic clock, so a time correction cannot step it back.

    Nor does a correction set it right, or a machine's sleep move it: whoever lives long asks a `Correction`.
    """

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Unix seconds, UTC."""
        return self._offset + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def follow(self) -> None:
        """Go on by the machine's clock where that is ahead; where it was put back, nothing changes."""
        self._offset = max(self._offset, time.time() - time.monotonic())


def comes_twice(local: datetime) -> bool:
    """Whether the clock on the wall shows a time, which has its zone, twice, since it is put back soon or was just."""
    return local.utcoffset() != local.replace(fold=1 - local.fold).utcoffset()


def changed(since: float, until: float, zone: tzinfo) -> float | None:
    """When within a span of Unix seconds, a day at most, the clock on the wall is put on or back; `None`: it isn't."""

    def offset(at: float) -> timedelta | None:
        return datetime.fromtimestamp(at, zone).utcoffset()

    if offset(since) == offset(until):
        return None
    quarters = (QUARTER_S * n for n in range(ceil(since / QUARTER_S), ceil(until / QUARTER_S) + 1))
    return next(at for at in quarters if offset(at) != offset(since))


def shown_from(local: datetime) -> float:
    """Unix seconds from which on the clock on the wall shows a time, or a later one where that is left out."""
    at = local.timestamp()
    shown = datetime.fromtimestamp(at, local.tzinfo)
    if shown.replace(tzinfo=None) == local.replace(tzinfo=None) or local.tzinfo is None:
        return at
    return changed(local.replace(fold=1).timestamp(), at, local.tzinfo) or at


def by_schedule(local: datetime) -> clock_time:
    """The time of day by which shifts and the like begin and end.

    That is what the clock on the wall shows; but in the second of two like hours the last moment of it, since all that
    begins or ends in it did so when it was shown first.
    """
    if not local.fold or local.tzinfo is None or not comes_twice(local):
        return local.time()
    again_s = ((local.replace(fold=0).utcoffset() or timedelta()) - (local.utcoffset() or timedelta())).total_seconds()
    back = changed(local.timestamp() - again_s, local.timestamp(), local.tzinfo) or local.timestamp()
    return datetime.fromtimestamp(back - 1, local.tzinfo).time()


def on_the_wall(local: datetime, pattern: str) -> str:
    """A time as `strftime` writes it; of an hour that comes twice with its zone's name: `02:26:13 CEST`."""
    return local.strftime(f"{pattern} %Z" if comes_twice(local) else pattern)


class Correction:
    """Notices that the machine's clock has left ours: it was set right, or the machine slept.

    Args:
        clock: Ours.
        lasting_s: For so long they must have been apart.
    """

    def __init__(self, clock: Clock, lasting_s: float = LASTING_S) -> None:
        self._clock = clock
        self._lasting_s = lasting_s
        self._since: float | None = None

    def seen_s(self) -> float:
        """How far the machine's clock is ahead of ours, below 0 behind; 0 while that is nothing to speak of.

        To be asked again and again: it knows only what it saw when it was asked.
        """
        now = self._clock.now()
        apart_s = time.time() - now
        if abs(apart_s) <= APART_S:
            self._since = None
            return 0.0
        self._since = now if self._since is None else self._since
        return apart_s if now - self._since >= self._lasting_s else 0.0


@dataclass(frozen=True, slots=True)
class KernelClock:
    """How far the kernel trusts its clock: whether a time server disciplines it, and how wrong it may be, seconds."""

    synchronised: bool
    error_s: float


def kernel_clock() -> KernelClock | None:
    """What adjtimex(2) tells of this machine's clock; `None` where there is no such call, or it is forbidden."""
    fields = ctypes.create_string_buffer(512)  # `modes` 0: only ask
    try:
        code = int(ctypes.CDLL(None).adjtimex(fields))
    except (OSError, AttributeError):
        return None
    _modes, _offset, _frequency, error_us, _estimated = struct.unpack_from("@Illll", fields.raw)
    return None if code < 0 else KernelClock(code != UNSYNCHRONISED, error_us / 1e6)


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 UTC with milliseconds: `2026-11-01T09:26:13.250Z`."""
    stamp = datetime.fromtimestamp(round(seconds, 3), UTC)
    return stamp.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def unix(text: str, zone: tzinfo | None = None) -> float:
    """ISO 8601 to Unix seconds; a time that names no zone is one of `zone`, or else UTC.

    Raises:
        ValueError: The text is no ISO 8601 time.
    """
    stamp = datetime.fromisoformat(text)
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=zone or UTC)).timestamp()
