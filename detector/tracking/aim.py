"""Whether a camera looks elsewhere than before: what it shows and the parcels in it enter, an answer leaves.

A camera that pans, or was aimed anew, shows other parcels, and these have not come: they lay there. That its view is
another one isn't enough to know it by, since infra-red shows the same hall otherwise; nor are its parcels, which hands
or the dark may hide. Where both differ, it looks elsewhere; but so it seems, too, while a stack of parcels stands
before the lens. Whoever turns parcels would only have to hold one there for a moment, and what they did would pass for
what lay there. So it must last for longer than a camera may be covered without being told of (`TamperRule.after_s`),
and count as covered by the same measure.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from detector.geometry import iou
from detector.tracking.view import LIKE, correlation, normed
from detector.values import FloatArray

LEARNED = 0.1  # share of each look in what is known of the view: goods and light change
UNLIKE = 0.25  # correlation of views, below which they are others: as of cameras that are covered or turned
SURE_S = 10.0  # of the same other view, before it is where the camera looks
SAME = 0.4  # overlap of a parcel seen now with one known before, from which they are taken for one
LEAST = 3  # parcels to be seen before anything is said: what hides the view shows none, or few by mistake
STAYED = 0.5  # share of the parcels seen now that lay there before, from which it is the same place

Where = Literal["here", "unsure", "elsewhere"]
"""Where it looked before, as far as can be seen; perhaps elsewhere; elsewhere from now on."""


class Aim:
    """What one camera was last known to look at: edges of that view, and the parcels in it."""

    def __init__(self) -> None:
        self._edges: FloatArray | None = None
        self._boxes = np.zeros((0, 4), np.float32)
        self._known = False  # where it looks, as of the last look
        self._other: FloatArray | None = None  # edges of a view with other parcels
        self._since = 0.0

    def look(self, edges: NDArray[np.int8], seen: FloatArray, at: float) -> Where:
        """Whether the camera looks elsewhere since it was last known where it looks.

        Args:
            edges: Of the picture, as `ViewMeasure` has them.
            seen: Boxes `(N, 4)` of parcels seen now, pixels.
            at: When, seconds.
        """
        now = normed(edges)
        if self._edges is None or correlation(self._edges, now) >= UNLIKE:
            before = now if self._edges is None else self._edges
            return self._know(before + np.float32(LEARNED) * (now - before), "here")
        enough = len(seen) >= LEAST
        if enough and self._stayed(seen) >= STAYED:
            return self._know(now, "here")
        self._known = False
        if self._other is None or correlation(self._other, now) < LIKE:  # noise is never like itself
            self._other, self._since = now if enough else None, at
            return "here"
        return self._know(now, "elsewhere") if enough and at - self._since >= SURE_S else "unsure"

    def note(self, boxes: FloatArray) -> None:
        """The parcels known by now, `(N, 4)`, seen or hidden; they count where it is known where the camera looks."""
        if self._known:
            self._boxes = boxes

    def _know(self, edges: FloatArray, where: Where) -> Where:
        self._edges, self._other, self._known = edges, None, True
        return where

    def _stayed(self, seen: FloatArray) -> float:
        """Share of the parcels seen now that lay there before."""
        if not len(self._boxes):
            return 0.0
        return float((iou(seen, self._boxes).max(axis=1) >= SAME).mean())
