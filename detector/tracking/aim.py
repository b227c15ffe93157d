"""Whether a camera looks elsewhere than before: what it shows and the parcels in it enter, yes or no leaves.

A camera that pans, or was aimed anew, shows other parcels, and these have not come: they lay there. That its view is
another one isn't enough to know it by, since infra-red shows the same hall otherwise; nor are its parcels, which hands
or the dark may hide. Where both differ, it looks elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.geometry import iou
from detector.tracking.view import LIKE, correlation, normed
from detector.values import FloatArray

LEARNED = 0.1  # share of each look in what is known of the view: goods and light change
SAME = 0.4  # overlap of a parcel seen now with one known before, from which they are taken for one
LEAST = 3  # parcels to be seen before anything is said: what hides the view shows none, or few by mistake
STAYED = 0.5  # share of the parcels seen now that lay there before, from which it is the same place


class Aim:
    """What one camera was last known to look at: edges of that view, and the parcels in it."""

    def __init__(self) -> None:
        self._edges: FloatArray | None = None
        self._boxes = np.zeros((0, 4), np.float32)
        self._known = False  # where it looks, as of the last look

    def moves(self, edges: NDArray[np.int8], seen: FloatArray) -> bool:
        """Whether the camera looks elsewhere since it was last known where it looks.

        Args:
            edges: Of the picture, as `ViewMeasure` has them.
            seen: Boxes `(N, 4)` of parcels seen now, pixels.
        """
        now = normed(edges)
        if self._edges is None or correlation(self._edges, now) >= LIKE:
            before = now if self._edges is None else self._edges
            self._edges, self._known = before + np.float32(LEARNED) * (now - before), True
            return False
        self._known = len(seen) >= LEAST
        if not self._known:
            return False
        self._edges = now
        return self._stayed(seen) < STAYED

    def note(self, boxes: FloatArray) -> None:
        """The parcels known by now, `(N, 4)`, seen or hidden; they count where it is known where the camera looks."""
        if self._known:
            self._boxes = boxes

    def _stayed(self, seen: FloatArray) -> float:
        """Share of the parcels seen now that lay there before."""
        if not len(self._boxes):
            return 0.0
        return float((iou(seen, self._boxes).max(axis=1) >= SAME).mean())
