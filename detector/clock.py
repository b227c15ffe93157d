"""Time at the edges: wall-clock seconds (UTC) that never step back, and sleep.

Nothing between a source and a sink asks what time it is; frames bring their time with them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, tzinfo
from typing import Protocol


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
