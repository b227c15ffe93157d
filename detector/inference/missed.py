"""Who is missed: people seen in each frame enter, boxes of those who were seen just before and aren't any more leave.

A look at low resolution misses people now and then, above all those who crouch behind parcels; where they were is worth
a closer look. Who walked on between two looks isn't missed, however few looks there are. Nothing older than `KEEP_S`
plays a part, not even in who is taken for whom. So a recording's files, each looked at without memory, give the looks
of whoever watched all along, but for somebody missed in a file's first seconds.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.geometry import SAME_PERSON, as_box, closeness
from detector.values import Box, Detections, FloatArray

KEEP_S = 2.97  # no multiple of usual times between frames: its end is the same by whatever clock
LEAST_SCORE = 0.4  # of somebody who is worth another look where they aren't seen
STEP = 1.0  # heights that somebody may go from one look to the next: in half a second or more, on a box that is busy


class MissedPeople:
    """People seen by a look of the last seconds, and near them nobody by any look since."""

    def __init__(self) -> None:
        self._boxes = np.empty((0, 4), np.float32)
        self._seen_at = np.empty(0)
        self._at = float("-inf")

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where they were, pixels; the newest look's people are among them, and may be missed by the next."""
        return tuple(map(as_box, self._boxes))

    def update(self, people: Detections, at: float) -> None:
        """Take up who was seen at frame time `at`, seconds."""
        kept = at - self._seen_at <= KEEP_S
        if len(people):
            kept &= closeness(self._boxes, people.boxes).max(axis=1) < SAME_PERSON
            just_now = np.flatnonzero(self._seen_at == self._at)
            places = walked_from(self._boxes[just_now], people.boxes)
            kept[just_now[places[places >= 0]]] = False
        self._at = at
        sure = people.boxes[people.scores >= LEAST_SCORE]
        self._boxes = np.concatenate([self._boxes[kept], sure])
        self._seen_at = np.concatenate([self._seen_at[kept], np.full(len(sure), at)])


def walked_from(before: FloatArray, now: FloatArray) -> NDArray[np.intp]:
    """Where those were at the look before who have gone too far since for the two boxes to be close.

    Args:
        before: `(N, 4)` boxes of people, pixels.
        now: `(M, 4)` likewise, of the look after.

    Returns:
        `(M,)` for each of `now` the nearest of `before` that may be theirs and is nobody's else; -1: there is none.
    """
    found = np.full(len(now), -1, np.intp)
    near = closeness(before, now)
    left, new = np.flatnonzero(near.max(1, initial=0.0) < SAME_PERSON), near.max(0, initial=0.0) < SAME_PERSON
    if not len(left):
        return found
    (x, y), height = (before[left, :2] + before[left, 2:]).T / 2, before[left, 3] - before[left, 1]
    for k in np.flatnonzero(new):
        (x_now, y_now), height_now = (now[k, :2] + now[k, 2:]) / 2, now[k, 3] - now[k, 1]
        apart = np.hypot(x - x_now, y - y_now) / np.maximum(height, 1.0)
        apart[np.minimum(height, height_now) < 0.5 * np.maximum(height, height_now)] = np.inf
        if apart.min() <= STEP:
            found[k] = left[apart.argmin()]
    return found
