"""Which frames to look at: so many a second, chosen by their time and not by their number."""

from __future__ import annotations

import math

ROUNDING_S = 0.001  # times of one frame, counted from different beginnings, differ by less
NEARLY = 0.87  # a stream of hardly more frames than are wanted is taken whole: its jitter would cost some


class Pacer:
    """Chooses the frames nearest to an even grid of times.

    The grid lies in Unix time and does not move with what was chosen, so the rate has no drift, and a stream that was
    cut into files is looked at at the same frames as the whole. Half the gap between the stream's own frames is the
    tolerance, so jitter neither skips a grid point nor takes one twice. The first frame is always chosen.

    Args:
        fps: Frames a second to choose.
        begins_at: What the times asked about count from, Unix seconds.
    """

    def __init__(self, fps: float, begins_at: float = 0.0) -> None:
        self._fps = fps
        self._begins_at = begins_at
        self._gap = 0.0
        self._before: float | None = None
        self._next: int | None = None  # number of the grid point whose frame is looked for

    @property
    def step(self) -> float:
        """Seconds between grid points."""
        return 1.0 / self._fps

    def due(self, at: float) -> bool:
        """Whether the frame of this time, in seconds, is to be looked at; ask once for each frame, in order.

        After a time before the last one it begins anew.
        """
        before, self._before = self._before, at
        if before is None or at < before:
            self._next = None
            return True
        gap = min(at - before, self.step)
        self._gap = self._gap + 0.2 * (gap - self._gap) if self._gap else gap
        early_s = self._gap / 2 + ROUNDING_S
        if self._next is None:
            self._next = math.floor((self._begins_at + before + early_s) * self._fps) + 1
        ahead_s = self._next / self._fps - self._begins_at - at
        if ahead_s > early_s and self._gap < NEARLY * self.step:
            return False
        # The nearest grid point is this frame's; the one after it comes next.
        self._next += max(1, math.floor(0.5 - ahead_s * self._fps) + 1)
        return True


def first_is_due(before: float, at: float, gap_s: float, fps: float) -> bool:
    """Whether the first frame of a file had been chosen were the file one with that before it.

    Args:
        before: Unix seconds of the frame chosen last.
        at: Of the file's first frame.
        gap_s: Seconds from frame to frame.
        fps: Frames a second that are chosen.
    """
    if gap_s >= NEARLY / fps:
        return True
    after = (round(before * fps) + 1) / fps
    return at >= after - gap_s / 2 - ROUNDING_S
