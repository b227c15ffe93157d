"""Which frames are worth a look: small grey samples enter, yes or no leaves.

Nothing that matters happens in a picture where nothing moves and where nobody was. Whoever stands still is looked at
all the same: for some seconds after a person was seen every frame is, and now and then one is in any case.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

KEEP_ALIVE_S = 5.0  # a look in any case: something may have been laid down slowly, or the network have erred
PEOPLE_S = 10.0  # after a person was seen
HOLD_S = 0.6  # after something moved
CHANGED = 20  # grey levels by which a place must differ from the sample before, against noise
LEAST = 6  # so many places of a 160 x 90 grid: a hand is larger, a grain of noise is not


class MotionGate:
    """Opens for what moves, and stays open for a while."""

    def __init__(self) -> None:
        self._before: NDArray[np.int16] | None = None
        self._looked_at = self._open_until = float("-inf")

    def opens(self, sample: NDArray[np.uint8], at: float) -> bool:
        """Whether to look at the frame of this sample.

        Args:
            sample: Small grey copy of the picture, about 320 pixels wide, always of the same size.
            at: Frame time, seconds; ask for each frame once, in order.
        """
        small = sample[::2, ::2].astype(np.int16)
        if self._before is None or int((np.abs(small - self._before) > CHANGED).sum()) >= LEAST:
            self._open_until = max(self._open_until, at + HOLD_S)
        self._before = small
        if at > self._open_until and at - self._looked_at < KEEP_ALIVE_S:
            return False
        self._looked_at = at
        return True

    def keep_open(self, at: float) -> None:
        """Somebody was seen at frame time `at`."""
        self._open_until = max(self._open_until, at + PEOPLE_S)
