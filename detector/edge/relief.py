"""Whether cameras where nothing is going on shall rest, of which then key frames alone are decoded.

Decoding is most of what a quiet camera costs. A box that doesn't keep up would otherwise take from cameras with people
to decode those without.
"""

from __future__ import annotations

from detector.config import Rest

REST_AFTER_S = 15.0  # with nothing moving and nobody there a camera may rest
HOLD_S = 600.0  # so long after a box last fell behind: cameras that wake at once would have it fall behind again


class Relief:
    """Shared by all cameras of a box; every method may be called from any thread.

    Args:
        rest: When cameras may rest, as configured.
    """

    def __init__(self, rest: Rest = "never") -> None:
        self._rest = rest
        self._behind_at = float("-inf")

    def note(self, behind: bool, now: float) -> None:
        """Whether the box fell behind with some camera, as of the clock's `now`."""
        if behind:
            self._behind_at = now

    def may_rest(self, calm_s: float, now: float) -> bool:
        """Whether a camera may rest where nothing has moved and nobody was for so many seconds."""
        wanted = self._rest == "always" or (self._rest == "behind" and 0 <= now - self._behind_at <= HOLD_S)
        return wanted and calm_s >= REST_AFTER_S
