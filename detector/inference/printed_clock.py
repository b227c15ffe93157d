"""A clock printed into the picture: pictures enter; where it is and how long it has stood, with all else, leaves.

Most cameras print the time into their picture. That must not pass for something that moves; and a camera that
hangs prints it no longer: its encoder may run on and no two pictures be quite the same, but the seconds stand. A clock
is where, at the upper or lower edge, dark and light change places with every second and never between, and don't
change back with the next, as a lamp does that blinks. It may stand only as long as nothing else in the picture moves
either: where something does, somebody has taken it out of the picture, or it was none. Nor is anything known of one
that is seen to go no more since there is another light behind its letters.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

STRONG, SAMPLES = 40, 4  # grey levels by which a digit that changes does, and at how many samples at least
# Key frames of a picture that stands differ from the one before by up to 55 at so many samples, where letters end
# (`tests/bench/printed_clock.py`): so a known clock is asked for a share of what its own digits change by.
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
LEARNED = 20  # changes by which it is followed how strong a clock's digits are, and how bright what is behind them
WEAKEST = 50.0  # grey levels by which digits change on average: weaker ones may fade until no change is seen
LIT = 0.25  # what of their strength that brightness may be off where a clock stands: with more it may not be seen to go
MOST = 0.15  # of a picture: letters that took more of it would hide what moves there

FIRST = (slice(CELL // 2, None, CELL),) * 2  # of each cell

Grey = NDArray[np.uint8]


class PrintedClock:
    """Looks for a clock in the pictures of one camera, as they are stored.

    Attributes:
        changed_at: Frame time, seconds, at which something changed last as strongly as digits do.
        letters: Where a sample, as large as those given, shows what changes of a clock within an hour; `None` where
            none is known.
    """

    def __init__(self, luma: Grey, sample: Grey, at: float) -> None:
        """Takes the first picture, as `watch` does; what was before it isn't known."""
        self.changed_at = self._at = self._ticked_at = at
        self.letters: NDArray[np.bool_] | None = None
        self._strong = float(STRONG)
        self._digits = self._ground = 0.0
        self._strips, self._sample = strips(luma), sample
        self._before = self._strips.copy()  # as each cell was before it changed last
        # When each cell changed last, from one picture to another close to it.
        self._beat = np.full(changes(self._strips, STRONG).shape, -np.inf)
        self._ticks = np.zeros_like(self._beat, np.int32)
        self._clock = np.zeros_like(self._beat, bool)

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
        earlier, self._strips, self._sample, self._at = self._strips, printed, sample, at
        if changed.any() or elsewhere.any():
            self.changed_at = at
        if changed.any():
            self._count(changed, earlier, at, close=close)
        if self.letters is None:
            if changed.any():
                self._find(luma.shape, sample.shape, by, at)
            return
        ticked = changed & self._clock
        if ticked.any():
            self._ticked_at = at
            if close and (self._ticks[ticked] >= TICKS).any():
                self._follow(by)
        stood_s = at - self._ticked_at
        is_gone = stood_s > GONE_S and self.changed_at == at
        is_hidden = stood_s > LONGEST_S and abs(brightness(printed, self._clock) - self._ground) > LIT * self._digits
        if is_gone or is_hidden:
            self._forget()

    def _find(self, picture: tuple[int, ...], sample: tuple[int, ...], by: cv2.typing.MatLike, at: float) -> None:
        self._clock = self._ticks >= TICKS
        if not self._clock.any():
            return
        self.letters, self._ticked_at = letters(self._clock, picture, sample), at
        # Between two digits little may differ: of one that seems weak it shows with time whether it is.
        self._digits = max(STRONG / SHARE, strength(by, self._clock))
        self._strong, self._ground = SHARE * self._digits, brightness(self._strips, self._clock)
        if self.letters.mean() > MOST:
            self._forget()

    def _follow(self, by: cv2.typing.MatLike) -> None:
        self._digits += (strength(by, self._clock) - self._digits) / LEARNED
        self._ground += (brightness(self._strips, self._clock) - self._ground) / LEARNED
        self._strong = max(STRONG, SHARE * self._digits)
        if self._digits < WEAKEST:
            self._forget()

    def _forget(self) -> None:
        self.letters, self._strong = None, STRONG
        self._ticks[:] = 0

    def _count(self, changed: NDArray[np.bool_], earlier: Grey, at: float, *, close: bool) -> None:
        """Count changes some whole seconds after the one before, wherever one was; others begin anew.

        After a longer time there may have been more that nobody was shown. What shows again what it did before the one
        before does not count: a lamp does so always, digits hardly.
        """
        is_new = changes(cv2.absdiff(self._strips, self._before), self._strong)[changed]
        np.copyto(self._before, earlier, where=shown_by(changed, earlier.shape))
        if not close:
            return
        passed_s, ticks = at - self._beat[changed], self._ticks[changed]
        off_s = np.abs(passed_s - np.clip(np.round(passed_s), 1, LONGEST_S))
        ticks = np.where(off_s <= SLACK_S, ticks + is_new, np.where(passed_s > LONGEST_S, ticks, 0))
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
    return float(np.sort(by[shown_by(clock, by.shape)])[-SAMPLES])


def brightness(printed: Grey, clock: NDArray[np.bool_]) -> float:
    """Grey level of what is behind a clock's digits, of which most of its cells are."""
    return float(np.median(printed[shown_by(clock, printed.shape)]))


def shown_by(cells: NDArray[np.bool_], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Samples of strips of this shape that lie in these cells."""
    there, samples = np.zeros(shape, bool), cells.repeat(CELL, 0).repeat(CELL, 1)[: shape[0], : shape[1]]
    there[: samples.shape[0], : samples.shape[1]] = samples
    return there


def letters(clock: NDArray[np.bool_], picture: tuple[int, ...], sample: tuple[int, ...]) -> NDArray[np.bool_]:
    """Where a sample shows letters of clocks that change within an hour, by the cells in which their seconds do.

    Args:
        clock: Those cells, of `strips`.
        picture: Height and width of the picture.
        sample: The same of what it was sampled down to.
    """
    rows, step = _strip(picture)
    every = -(-picture[1] // sample[1])
    there = np.zeros(sample, bool)
    printed_rows = -(-rows // step)
    is_lower = (np.arange(len(clock)) * CELL + CELL // 2 >= printed_rows)[:, None]
    for cells, top in ((clock & ~is_lower, 0), (clock & is_lower, picture[0] - rows - printed_rows * step)):
        if not cells.any():
            continue
        # The recorder may print a clock beside the camera's: what is between them isn't printed.
        count, _, boxes, _ = cv2.connectedComponentsWithStats(cells.astype(np.uint8))
        for n in range(1, count):
            # A digit is within reach of each of its cells, so that these lie round it, as far as the strip goes.
            x, y, width, height = (int(boxes[n, of]) for of in range(4))
            left, upper = (CELL // 2 + CELL * first for first in (x, y))
            right, lower = left + CELL * (width - 1), upper + CELL * (height - 1)
            digit = max(lower - upper, CELL)
            down = slice((top + upper * step) // every, (top + lower * step) // every + 1)
            across = slice(max(left - BEFORE * digit, 0) * step // every, (right + AFTER * digit) * step // every + 1)
            there[down, across] = True
    return there


def _strip(picture: tuple[int, ...]) -> tuple[int, int]:
    """Rows of a strip of a picture so high and wide, and of how many of its pixels one is sampled."""
    return max(picture[0] // EDGE, 1), max(picture[1] // SAMPLED, 1)
