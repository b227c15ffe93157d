"""Whether a clock printed into the picture goes on: pictures enter, how long all has stood still leaves.

Nearly every camera prints the time into its picture, and one that hangs prints it no longer: its encoder may run on and
no two pictures be quite the same, but the seconds stand. A clock is where, at the upper or lower edge, dark and light
change places with every second and never between. It may stand only as long as nothing else in the picture moves
either: where something does, somebody has taken it out of the picture, or it was none.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

# Grey levels by which a digit that changes does, at some place. Of pictures that stood still and were encoded on, none
# differed by more than 36 from the one before (`tests/bench/frozen.py`).
STRONG = 56
EDGE = 8  # the upper and the lower one of so many strips of the picture are where clocks are
SAMPLED = 640  # strips are sampled down to about this width: strokes are a few pixels wide
CELL, REACH = 8, 24  # one place is kept for a cell of so many samples; a digit fits into the reach round it
TICKS = 30  # changes, each so many whole seconds after the one before, by which a place is known for a clock's
LONGEST_S = 3  # such a change may be missed twice: between some digits little differs
SLACK_S = 0.3  # frames are some tenths of a second apart, and come late
FOUND_S = 60.0  # after which a clock that is there is known
GONE_S = 10.0  # a clock that has stood for so long when something else moves is none any more

Grey = NDArray[np.uint8]
AROUND: Grey = np.ones((REACH, REACH), np.uint8)


class PrintedClock:
    """Looks for a clock in the pictures of one camera.

    Attributes:
        changed_at: Frame time, seconds, at which something changed last as strongly as digits do.
    """

    def __init__(self, luma: Grey, sample: Grey, at: float) -> None:
        """Takes the first picture, as `watch` does; what was before it isn't known."""
        self.changed_at = at
        self._strips, self._sample = strips(luma), sample
        self._last = np.full(cells(self._strips).shape, -np.inf)
        self._ticks = np.zeros_like(self._last, np.int32)
        self._clock: NDArray[np.bool_] | None = None

    @property
    def is_known(self) -> bool:
        """Whether a clock is known to be there."""
        return self._clock is not None

    def watch(self, luma: Grey, sample: Grey, at: float) -> None:
        """Take note of a picture.

        Args:
            luma: `(H, W)`, its brightness; as large as the one before.
            sample: The same sampled down, for what moves anywhere in it.
            at: Frame time, seconds, later than that of the one before.
        """
        printed, moved = strips(luma), strong(sample, self._sample)
        changes = strong(printed, self._strips)
        self._strips, self._sample = printed, sample
        ticked = cv2.countNonZero(changes) > 0
        if not ticked and not cv2.countNonZero(moved):
            return
        self.changed_at = at
        if ticked:
            self._count(cells(np.asarray(cv2.dilate(changes, AROUND), np.uint8)) > 0, at)
        if self._clock is None:
            found = self._ticks >= TICKS
            self._clock = found if found.any() else None
        elif at - self._last[self._clock].max() > GONE_S:
            self._clock = None
            self._ticks[:] = 0

    def _count(self, changed: NDArray[np.bool_], at: float) -> None:
        """Count changes a whole number of seconds after the one before, wherever one was; any other begins anew."""
        passed_s = at - self._last[changed]
        whole_s = np.clip(np.round(passed_s), 1, LONGEST_S)
        self._ticks[changed] = np.where(np.abs(passed_s - whole_s) <= SLACK_S, self._ticks[changed] + 1, 0)
        self._last[changed] = at


def strips(luma: Grey) -> Grey:
    """What of a picture `(H, W)` is looked at for a clock: its upper strip and its lower one, sampled down."""
    rows, step = max(luma.shape[0] // EDGE, 1), max(luma.shape[1] // SAMPLED, 1)
    return np.vstack([luma[:rows:step, ::step], luma[-rows::step, ::step]])


def strong(one: Grey, other: Grey) -> Grey:
    """Where two pictures differ as strongly as digits do: not 0."""
    return np.asarray(cv2.threshold(cv2.absdiff(one, other), STRONG, 1, cv2.THRESH_BINARY)[1], np.uint8)


def cells(samples: Grey) -> Grey:
    """One sample of each cell."""
    return samples[CELL // 2 :: CELL, CELL // 2 :: CELL]
