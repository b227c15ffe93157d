"""For how long a picture has been the same, over the borders of files: looks enter in order, and leave saying so.

Each file is looked at as if nothing had come before it, so that its first picture counts as a change. Where it measures
exactly as the last one of the file before, noise included, it is that one still. A printed clock that was known at the
end of a file is known in the next one from its beginning; while a recorder pauses between the two it doesn't stand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detector.inference.gate import KEEP_ALIVE_S
from detector.inference.looker import LONGEST_PAUSE_S
from detector.inference.printed_clock import FOUND_S
from detector.sources.pacing import ROUNDING_S
from detector.values import Look, ViewMeasure

PAUSE_S = 2 * KEEP_ALIVE_S  # from the last look at a file to the next file: with less the recorder went on


class Stillness:
    """Carries on what one camera's looks say of pictures that don't change."""

    def __init__(self) -> None:
        self._view: ViewMeasure | None = None
        self._at = self._since = 0.0
        self._begins = True
        self._first_since = self._earlier_s = 0.0
        self._clock = _Clock()

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
            follows = self._view is not None and at - self._at <= LONGEST_PAUSE_S
            goes_on = follows and self._view is not None and same(self._view, view)
            self._begins, self._first_since = False, since
            self._earlier_s = since - self._since if goes_on else 0.0
            self._clock.begin(at - view.calm_s, follows, at - view.calm_s - self._at <= PAUSE_S)
        elif since > self._first_since + ROUNDING_S:
            self._earlier_s = 0.0
        view = self._clock.carried_on(replace(view, still_s=view.still_s + self._earlier_s), at)
        self._view, self._at, self._since = view, at, since - self._earlier_s
        return replace(look, view=view)


class _Clock:
    """Carries on what is known of a printed clock, and since when nothing has changed as strongly as it does."""

    def __init__(self) -> None:
        self._known = False
        self._changed_at = self._first_at = self._earlier_s = 0.0

    def begin(self, first_at: float, follows: bool, at_once: bool) -> None:
        """A file begins at Unix time `first_at`, soon after the one before or not, or where that one ended."""
        self._known = self._known and follows
        self._first_at = first_at
        self._earlier_s = first_at - self._changed_at if self._known and at_once else 0.0

    def carried_on(self, view: ViewMeasure, at: float) -> ViewMeasure:
        changed_at = at - view.calm_s
        if changed_at > self._first_at + ROUNDING_S:
            self._earlier_s = 0.0
            # Something has moved for as long as a clock takes to be found, and none was: there is none any more.
            self._known = view.has_clock or (self._known and changed_at <= self._first_at + FOUND_S)
        self._changed_at = changed_at - self._earlier_s
        return replace(view, calm_s=at - self._changed_at, has_clock=self._known)


def same(one: ViewMeasure, other: ViewMeasure) -> bool:
    """Whether two measures are of one picture."""
    figures = ((view.brightness, view.contrast, view.sharpness) for view in (one, other))
    return next(figures) == next(figures) and np.array_equal(one.edges, other.edges)
