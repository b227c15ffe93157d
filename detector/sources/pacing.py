"""Which frames to look at: so many a second, chosen by their time and not by their number."""

from __future__ import annotations

import math


class Pacer:
    """Chooses the frames nearest to an even grid of times.

    The grid does not move with what was chosen, so the rate has no drift; half the gap between the stream's own frames
    is the tolerance, so jitter neither skips a grid point nor takes one twice.
    """

    def __init__(self, fps: float) -> None:
        self._step = 1.0 / fps
        self._gap = 0.0
        self._before: float | None = None
        self._next = 0.0

    @property
    def step(self) -> float:
        """Seconds between grid points."""
        return self._step

    def due(self, at: float) -> bool:
        """Whether the frame of this time, in seconds, is to be looked at; ask once for each frame, in order.

        A time before the last one starts a new grid.
        """
        before, self._before = self._before, at
        if before is None or at < before:
            self._next = at + self._step
            return True
        gap = min(at - before, self._step)
        self._gap = self._gap + 0.2 * (gap - self._gap) if self._gap else gap
        if at < self._next - self._gap / 2:
            return False
        # The nearest grid point is this frame's; the one after it comes next.
        self._next += self._step * max(1, math.floor((at - self._next) / self._step + 0.5) + 1)
        return True
