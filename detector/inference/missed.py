"""Who is missed: people seen in each frame enter, boxes of those who were seen just before and aren't any more leave.

A look at low resolution misses people now and then, above all those who crouch behind parcels; where they were is worth
a closer look. Nothing older than `KEEP_S` plays a part, not even in who is taken for whom. So a recording's files, each
looked at without memory, give the looks of whoever watched all along, but for somebody missed in a file's first
seconds.
"""

from __future__ import annotations

import numpy as np

from detector.geometry import SAME_PERSON, as_box, closeness
from detector.values import Box, Detections

KEEP_S = 2.97  # no multiple of usual times between frames: its end is the same by whatever clock
LEAST_SCORE = 0.4  # of somebody who is worth another look where they aren't seen


class MissedPeople:
    """People seen by a look of the last seconds, and near them nobody by any look since."""

    def __init__(self) -> None:
        self._boxes = np.empty((0, 4), np.float32)
        self._seen_at = np.empty(0)

    @property
    def boxes(self) -> tuple[Box, ...]:
        """Where they were, pixels; the newest look's people are among them, and may be missed by the next."""
        return tuple(map(as_box, self._boxes))

    def update(self, people: Detections, at: float) -> None:
        """Take up who was seen at frame time `at`, seconds."""
        kept = at - self._seen_at <= KEEP_S
        if len(people):
            kept &= closeness(self._boxes, people.boxes).max(axis=1) < SAME_PERSON
        sure = people.boxes[people.scores >= LEAST_SCORE]
        self._boxes = np.concatenate([self._boxes[kept], sure])
        self._seen_at = np.concatenate([self._seen_at[kept], np.full(len(sure), at)])
