"""A clock printed into the picture: pictures enter; where it is and how long it has stood, with all else, leaves.

Nearly every camera prints the time into its picture. That must not pass for something that moves; and a camera that
hangs prints it no longer: its encoder may run on and no two pictures be quite the same, but the seconds stand. A clock
is where, at the upper or lower edge, dark and light change places with every second and never between. It may stand
only as long as nothing else in the picture moves either: where something does, somebody has taken it out of the
picture, or it was none.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

STRONG, SAMPLES = 40, 4  # grey levels by which a digit that changes does, and at how many samples at least
# Key frames of a picture that stands differ from the one before, most of all where letters end. Of what a known clock's
# digits changed by it was 0.4 at most, and they themselves change by 0.7 of their median (`tests/bench/printed_clock.py`).
SHARE = 0.5
EDGE = 8  # the upper and the lower one of so many strips of the picture are where clocks are
SAMPLED = 640  # strips are sampled down to about this width: strokes are a few pixels wide
CELL, REACH = 8, 24  # one place is kept for a cell of so many samples; a digit fits into the reach round it
TICKS = 30  # changes, each so many whole seconds after the one before, by which a place is known for a clock's
LONGEST_S = 3  # such a change may be missed twice: between some digits little differs
SLACK_S = 0.3  # frames are some tenths of a second apart, and come late
APART_S = 0.6  # pictures further apart don't show that nothing changes between seconds
FOUND_S = 60.0  # after which a clock that is there is known
BEFORE, AFTER = 4, 1  # heights of a digit for which, beside the seconds, stands what changes within an hour
GONE_S = 10.0  # a clock that has stood for so long when something else moves is none any more

FIRST = (slice(CELL // 2, None, CELL),) * 2  # of each cell

Grey = NDArray[np.uint8]


class PrintedClock:
    """Looks for a clock in the pictures of one camera.

    Attributes:
        changed_at: Frame time, seconds, at which something changed last as strongly as digits do.
        letters: Where a sample, as large as those given, shows what changes of a clock within an hour; `None` where
            none is known.
    """

    def __init__(self, luma: Grey, sample: Grey, at: float) -> None:
        """Takes the first picture, as `watch` does; what was before it isn't known."""
        self.changed_at = self._at = at
        self.letters: NDArray[np.bool_] | None = None
        self._strong = float(STRONG)
        self._strips, self._sample = strips(luma), sample
        self._last = np.full(changes(self._strips, STRONG).shape, -np.inf)
        self._beat = self._last.copy()  # as `_last`, of changes from one picture to another close to it
        self._ticks = np.zeros_like(self._last, np.int32)
        self._clock = np.zeros_like(self._last, bool)

    def watch(self, luma: Grey, sample: Grey, at: float) -> None:
        """Take note of a picture.

        Args:
            luma: `(H, W)`, its brightness; as large as the one before.
            sample: The same sampled down, for what moves anywhere in it.
            at: Frame time, seconds, later than that of the one before.
        """
        printed, close = strips(luma), at - self._at <= APART_S
        by, moved_by = cv2.absdiff(printed, self._strips), cv2.absdiff(sample, self._sample)
        changed, elsewhere = changes(by, self._strong), changes(moved_by, self._strong)
        self._strips, self._sample, self._at = printed, sample, at
        if not changed.any() and not elsewhere.any():
            return
        self.changed_at = self._last[changed] = at
        if close:
            self._count(changed, at)
        if self.letters is None:
            self._clock = self._ticks >= TICKS
            if self._clock.any():
                self.letters = letters(self._clock, luma.shape, sample.shape)
                self._strong = max(STRONG, SHARE * strength(by, self._clock))
        elif at - self._last[self._clock].max() > GONE_S:
            self.letters, self._strong = None, STRONG
            self._ticks[:] = 0

    def _count(self, changed: NDArray[np.bool_], at: float) -> None:
        """Count changes some whole seconds after the one before, wherever one was; others begin anew.

        After a longer time there may have been more that nobody was shown.
        """
        passed_s, ticks = at - self._beat[changed], self._ticks[changed]
        off_s = np.abs(passed_s - np.clip(np.round(passed_s), 1, LONGEST_S))
        ticks = np.where(off_s <= SLACK_S, ticks + 1, np.where(passed_s > LONGEST_S, ticks, 0))
        self._ticks[changed], self._beat[changed] = ticks, at


def strips(luma: Grey) -> Grey:
    """What of a picture `(H, W)` is looked at for a clock: its upper strip and its lower one, sampled down."""
    rows, step = _strip(luma.shape)
    return np.vstack([luma[:rows:step, ::step], luma[-rows::step, ::step]])


def changes(by: cv2.typing.MatLike, least: float) -> NDArray[np.bool_]:
    """Where pictures that differ by so many grey levels do so as digits that change; a place for each cell."""
    strong = cv2.threshold(by, least, 1, cv2.THRESH_BINARY)[1]
    if cv2.countNonZero(strong) < SAMPLES:  # most pictures of a still hall
        return np.zeros(strong[FIRST].shape, bool)
    around = cv2.boxFilter(strong, cv2.CV_16U, (REACH, REACH), normalize=False, borderType=cv2.BORDER_CONSTANT)
    return around[FIRST] >= SAMPLES


def strength(by: cv2.typing.MatLike, clock: NDArray[np.bool_]) -> float:
    """By how many grey levels a clock's digits change, of the strips' difference and the clock's cells in them."""
    there = clock.repeat(CELL, 0).repeat(CELL, 1)
    return float(np.sort(by[: len(there), : there.shape[1]][there[: len(by), : by.shape[1]]])[-SAMPLES])


def letters(clock: NDArray[np.bool_], picture: tuple[int, ...], sample: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where a sample shows letters of a clock that change within an hour, by the cells in which its seconds do.

    Args:
        clock: Those cells, of `strips`.
        picture: Height and width of the picture.
        sample: The same of what it was sampled down to.
    """
    rows, step = _strip(picture)
    every = -(-picture[1] // sample[1])
    there = np.zeros(sample, bool)
    y, x = (CELL // 2 + CELL * n for n in np.nonzero(clock))
    is_lower = y >= -(-rows // step)
    for inside, top in ((~is_lower, 0), (is_lower, picture[0] - rows - -(-rows // step) * step)):
        if not inside.any():
            continue
        # A digit is within reach of each of its cells, so that these lie round it, as far as the strip goes.
        upper, lower, left, right = y[inside].min(), y[inside].max(), x[inside].min(), x[inside].max()
        digit = max(lower - upper, CELL)
        down = slice((top + upper * step) // every, (top + lower * step) // every + 1)
        across = slice(max(left - BEFORE * digit, 0) * step // every, (right + AFTER * digit) * step // every + 1)
        there[down, across] = True
    return there


def _strip(picture: tuple[int, ...]) -> tuple[int, int]:
    """Rows of a strip of a picture so high and wide, and of how many of its pixels one is sampled."""
    return max(picture[0] // EDGE, 1), max(picture[1] // SAMPLED, 1)
