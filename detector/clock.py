"""Time at the edges: wall-clock seconds (UTC) that never step back, and sleep.

Nothing between a source and a sink asks what time it is; frames bring their time with them.
"""

from __future__ import annotations

import ctypes
import struct
import time
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Protocol

UNSYNCHRONISED = 5  # TIME_ERROR of adjtimex(2)


class Clock(Protocol):
    """What a source, a sink or a worker may ask about time."""

    def now(self) -> float:
        """Unix seconds, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemClock:
    """Wall time read once and carried forward by the monotonic clock, so a time correction cannot step it back."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Unix seconds, UTC."""
        return self._offset + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


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
