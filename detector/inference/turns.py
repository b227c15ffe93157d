"""Whose turn a close look is: boxes of people enter, those of them who have waited longest leave.

Close looks cost most of what looking costs, so that only so many are made at one frame. Where more people are in the
picture they take turns: somebody far from the camera in a busy hall is looked at less often, but is looked at. Whoever
walks keeps their turn, or who passes by would take it from who stands and photographs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.geometry import SAME_PERSON, closeness
from detector.inference.missed import KEEP_S, walked_from
from detector.values import FloatArray


class Turns:
    """When everybody of the last seconds (`KEEP_S`) was looked at closely."""

    def __init__(self) -> None:
        self._boxes = np.empty((0, 4), np.float32)
        self._seen_at = np.empty(0)
        self._looked_at = np.empty(0)
        self._at = float("-inf")

    def take(self, people: FloatArray, most: int, at: float) -> NDArray[np.intp]:
        """Choose whom to look at, and remember it.

        Args:
            people: `(N, 4)` boxes, pixels.
            most: How many to look at.
            at: Frame time, seconds.

        Returns:
            Indices of at most so many people: those who have waited longest, of equals the tallest.
        """
        here = at - self._seen_at <= KEEP_S
        self._boxes, self._seen_at, self._looked_at = self._boxes[here], self._seen_at[here], self._looked_at[here]
        near = closeness(self._boxes, people)
        kept = near.max(axis=1, initial=0.0) < SAME_PERSON
        looked_at = np.full(len(people), -np.inf)
        if len(self._boxes) and len(people):
            known = near.max(axis=0) >= SAME_PERSON
            looked_at[known] = self._looked_at[near.argmax(axis=0)[known]]
            just_now = np.flatnonzero(self._seen_at == self._at)
            places = walked_from(self._boxes[just_now], people)
            walked = ~known & (places >= 0)
            came_from = just_now[places[walked]]
            looked_at[walked], kept[came_from] = self._looked_at[came_from], False
        chosen = first(people, most, looked_at)
        looked_at[chosen] = self._at = at
        self._boxes = np.concatenate([self._boxes[kept], people])
        self._seen_at = np.concatenate([self._seen_at[kept], np.full(len(people), at)])
        self._looked_at = np.concatenate([self._looked_at[kept], looked_at])
        return chosen


def first(people: FloatArray, most: int, looked_at: FloatArray | None = None) -> NDArray[np.intp]:
    """Indices of at most so many people `(N, 4)`: whom nobody has looked at for longest, then the tallest."""
    before = np.zeros(len(people)) if looked_at is None or len(people) <= most else looked_at
    return np.lexsort((people[:, 1] - people[:, 3], before))[:most]
