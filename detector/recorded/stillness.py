"""For how long a picture has been the same, over the borders of files: looks enter in order, and leave saying so.

Each file is looked at as if nothing had come before it, so that its first picture counts as a change. Where it measures
exactly as the last one of the file before, noise included, it is that one still.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detector.inference.looker import LONGEST_PAUSE_S
from detector.sources.pacing import ROUNDING_S
from detector.values import Look, ViewMeasure


class Stillness:
    """Carries on what one camera's looks say of pictures that don't change."""

    def __init__(self) -> None:
        self._view: ViewMeasure | None = None
        self._at = self._since = 0.0
        self._begins = True
        self._first_since = self._earlier_s = 0.0

    def begin(self) -> None:
        """What comes next is of another file."""
        self._begins = True

    def carried_on(self, look: Look) -> Look:
        """A look, `captured_at` in Unix seconds, as if its file and those before it were one."""
        view, at = look.view, look.captured_at
        if view is None:
            return look
        since = at - view.still_s
        if self._begins:
            goes_on = self._view is not None and same(self._view, view) and at - self._at <= LONGEST_PAUSE_S
            self._begins, self._first_since = False, since
            self._earlier_s = since - self._since if goes_on else 0.0
        elif since > self._first_since + ROUNDING_S:
            self._earlier_s = 0.0
        view = replace(view, still_s=view.still_s + self._earlier_s)
        self._view, self._at, self._since = view, at, since - self._earlier_s
        return replace(look, view=view)


def same(one: ViewMeasure, other: ViewMeasure) -> bool:
    """Whether two measures are of one picture."""
    figures = ((view.brightness, view.contrast, view.sharpness) for view in (one, other))
    return next(figures) == next(figures) and np.array_equal(one.edges, other.edges)
