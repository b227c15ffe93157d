"""When what a live camera sends was taken: when it arrived and what the stream says of it enter, one time leaves.

A network that stalls lets everything go at once when it gets on: by arrival alone, seconds of video would have been
taken within milliseconds, and nobody could see in a clip what happened then. So packets keep the distances that the
stream gives them, and only where they lie on our clock is told by arrival, of which the earliest is the truest.
"""

from __future__ import annotations

SETTLES_S = 60.0  # in which a camera's clock that runs slower than ours is followed
LATE_S = 0.5  # what arrives so long after it was taken comes of a stall; less is an ordinary network's
LONGEST_LATE_S = 5.0  # a longer stall ends the connection, so what is later is the stream's own fault
DOUBTED_S, LONGEST_DOUBTED_S = 600.0, 86400.0  # after stamps without sense; doubled each time


class Arrival:
    """One connection's clock.

    Stamps that make no sense are believed no more: then arrival counts alone. A camera's clock that is set jumps once,
    and its stamps are good again, so they are given another chance after a while, ever later.
    """

    def __init__(self) -> None:
        self._doubted_until = float("-inf")
        self._doubted_s = DOUBTED_S
        self._before: tuple[float, float] | None = None

    def taken_at(self, arrived_at: float, stream_s: float | None) -> float:
        """When a packet was taken.

        Args:
            arrived_at: Seconds of our clock, never stepping back.
            stream_s: When it is decoded by the stream's clock, seconds; `None` where the stream doesn't say.

        Returns:
            Seconds of our clock: `arrived_at`, or up to `LONGEST_LATE_S` before.
        """
        if stream_s is None:
            return arrived_at
        if arrived_at < self._doubted_until:
            self._before = None
            return arrived_at
        at = arrived_at
        if self._before is not None:
            stream_before, at_before = self._before
            step_s = stream_s - stream_before
            late_s = arrived_at - (at_before + step_s)
            if 0 < step_s <= LONGEST_LATE_S and late_s <= LONGEST_LATE_S:
                at = min(arrived_at, at_before + step_s + late_s * step_s / SETTLES_S)
            else:
                self._doubted_until = arrived_at + self._doubted_s
                self._doubted_s = min(2 * self._doubted_s, LONGEST_DOUBTED_S)
        self._before = stream_s, at
        return at
