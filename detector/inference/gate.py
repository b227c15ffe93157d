"""Which frames are worth a look: small grey samples enter, yes or no leaves.

Nothing that matters happens in a picture where nothing moves and where nobody was. What moves is what differs from the
last seconds by more than that place is used to: grain, a codec's flicker, a blinking lamp or a belt that never
stops soon count as usual where they are, and nowhere else. Whoever stands still is looked at all the same: for some
seconds after a person was seen every frame is, then one a second for a while, and now and then one in any case.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

# None is a multiple of usual times from frame to frame: where an instant falls just on a limit, rounding would decide,
# and live and replay, which count from different beginnings, would look at different frames.
KEEP_ALIVE_S = 4.97  # a look in any case: something may have been laid down slowly, or the network have erred
PEOPLE_S = 3.97  # after a person was seen: every frame
CALLER_S, CALLER_EVERY_S = 29.97, 0.97  # then one a second: somebody who stands still may be missed for a while
HOLD_S = 0.57  # after something moved

LARGEST_STEP = 2.0  # bounds by which a place may lie behind, or what was laid down would count as moving for long
BEFORE_S = 3.0  # what a picture is compared with is a mean that follows in this time, so that creeping shows as well
FIRST_S = 1.97  # of which nothing is known yet, so that everything is looked at
USUAL_S = 60.0  # in which what is usual of a place is learned
LEAST_CHANGE = 4.0  # grey levels; less is no person against any background
MOST_LEARNED = 12.0  # grey levels: larger changes count as this large, so that no single one is remembered for long
DEVIATIONS = 4.0  # a change so many times what is usual is none of noise
LEAST_PLACES = 7  # within WINDOW: grain that passes the bounds lies scattered, what moves lies together
WINDOW = 5  # places of a sample 320 wide; a person 12 pixels wide in a picture of 1280 covers 3 x 9 of them
ALL_ANEW = 0.2  # of the picture changed at once: the light was switched or the camera turned, which teaches nothing
EDGE = 25.0  # grey levels: more than grain changes, and less than edges do that move
PARTS = (4, 3)  # of the picture, across and down: a belt stirs some of them, a camera that goes to and fro nearly all
LEAST_PARTS, LEAST_SHARE = 9, 0.002  # in so many of them edges move, at so many of its places


class MotionGate:
    """Opens for what moves, and stays open for a while.

    Attributes:
        stirred_at: Frame time of the last in which something moved or somebody was seen.
    """

    def __init__(self) -> None:
        self.stirred_at = float("-inf")
        self._mean: NDArray[np.float32] | None = None
        self._at = self._looked_at = self._open_until = self._called_until = float("-inf")

    def opens(self, sample: NDArray[np.uint8], at: float, printed: NDArray[np.bool_] | None = None) -> bool:
        """Whether to look at the frame of this sample.

        Args:
            sample: Small grey copy of the picture, about 320 pixels wide, always of the same size.
            at: Frame time, seconds; ask for each frame once, in order.
            printed: Where the sample shows letters that are printed into the picture, so that nothing moves.
        """
        if self.moves(sample, at, printed):
            self.stirred_at = at
            self._open_until = max(self._open_until, at + HOLD_S)
        pause_s = 0.0 if at <= self._open_until else CALLER_EVERY_S if at <= self._called_until else KEEP_ALIVE_S
        if at - self._looked_at < pause_s:
            return False
        self._looked_at = at
        return True

    def keep_open(self, at: float) -> None:
        """Somebody was seen at frame time `at`."""
        self.stirred_at = at
        self._open_until = max(self._open_until, at + PEOPLE_S)
        self._called_until = max(self._called_until, at + CALLER_S)

    def moves(self, sample: NDArray[np.uint8], at: float, printed: NDArray[np.bool_] | None = None) -> bool:
        """Whether anything moves in the frame of this sample; ask this or `opens`, once for each frame."""
        smooth = cv2.blur(sample, (3, 3)).astype(np.float32)
        passed_s, self._at = at - self._at, at
        if self._mean is None:
            self._begin(smooth)
            return True
        # What comes next goes over the same few arrays: new ones for each step would not stay in the processor's cache.
        change = cv2.absdiff(smooth, self._mean)
        changed = cv2.compare(change, self._bound, cv2.CMP_GT)
        if printed is not None:
            changed[printed] = 0
        places = cv2.countNonZero(changed)
        if places <= ALL_ANEW * smooth.size:
            self._known_at = at
        elif self._learned_s >= FIRST_S:
            if _is_turning(change):
                self._known_at = at
            elif at - self._known_at > USUAL_S:  # no lamp takes as long: the grain of dusk, or a belt that was started
                self._begin(smooth)
            self._mean = smooth
            return True
        ahead = cv2.subtract(smooth, self._mean, self._mean)
        most = LARGEST_STEP * self._bound
        cv2.min(ahead, most, ahead)
        cv2.max(ahead, np.negative(most, out=most), ahead)
        np.multiply(ahead, np.float32(math.exp(-passed_s / BEFORE_S)), out=ahead)
        self._mean = np.subtract(smooth, ahead, out=smooth)
        if at > self._called_until:  # what people do never becomes usual
            self._learn(change, passed_s)
        if self._learned_s < FIRST_S:
            return True
        if places < LEAST_PLACES:
            return False
        together = cv2.boxFilter(changed, cv2.CV_16U, (WINDOW, WINDOW), normalize=False)
        return cv2.minMaxLoc(together)[1] >= 255 * LEAST_PLACES

    def _begin(self, smooth: NDArray[np.float32]) -> None:
        self._mean = smooth
        self._usual = np.zeros_like(smooth)
        self._bound = np.full_like(smooth, LEAST_CHANGE)
        self._learned_s = 0.0
        self._known_at = self._at

    def _learn(self, change: Any, passed_s: float) -> None:
        """Take the mean square of changes at each place, of all seen at first, then of about the last minute."""
        most: Any = MOST_LEARNED if self._learned_s < FIRST_S else self._bound
        self._learned_s = min(self._learned_s + passed_s, USUAL_S)
        square = np.square(np.minimum(change, most, out=change), out=change)
        cv2.accumulateWeighted(square, self._usual, min(1.0, passed_s / self._learned_s))
        np.multiply(np.sqrt(self._usual, out=self._bound), np.float32(DEVIATIONS), out=self._bound)
        np.maximum(self._bound, np.float32(LEAST_CHANGE), out=self._bound)


def _is_turning(change: Any) -> bool:
    """Whether edges move nearly everywhere in the picture."""
    _, moved = cv2.threshold(change, EDGE, 1.0, cv2.THRESH_BINARY)
    parts = cv2.resize(moved, PARTS, interpolation=cv2.INTER_AREA)
    return bool(np.count_nonzero(parts > LEAST_SHARE) >= LEAST_PARTS)
