"""Whether a box keeps up with a camera: counts of frames enter; rates for the health message leave."""

from __future__ import annotations

from typing import Any

KEPT_UP = 0.8  # with so large a share of the frames that were due, a camera is kept up with
LEAST_DUE = 10  # frames; of fewer no share is taken
SPARSE_S = 60.0  # a stream that brings too few frames for so long doesn't do so for a moment


class Load:
    """One camera's rates from report to report.

    Args:
        now: Seconds; when counting begins.
        least_fps: Frames a second, with fewer of which no act can be told.
    """

    def __init__(self, now: float, least_fps: float = 0.0) -> None:
        self._at = self._enough_at = now
        self._least_fps = least_fps
        self._counts = (0, 0, 0, 0)
        self._waits_s: list[float] = []

    def waited(self, seconds: float) -> None:
        """A look waited so long for its turn."""
        self._waits_s.append(seconds)

    def report(
        self, now: float, frames_in: int, looked_at: int, passed_over: int, dropped: int, *, rested: bool = False
    ) -> dict[str, Any]:
        """Rates since the last report, from counts that only grow; those of a source begun anew begin anew as well.

        `rested` tells that few frames were wanted at some time since then.

        Returns:
            Frames a second that came (`fps`), were due (`due_fps`), of these were looked at (`analysed_fps`) or not
            worth a look (`passed_over_fps`); seconds that a look waited for its turn, on average (`wait_s`);
            whether many that were due were dropped (`behind`), and whether so few have come for long that no act can
            be told (`sparse`).
        """
        counts = frames_in, looked_at, passed_over, dropped
        came, looked, passed, lost = (max(0, n - before) for n, before in zip(counts, self._counts, strict=True))
        span_s = max(now - self._at, 0.001)
        waits_s, self._waits_s = self._waits_s, []
        self._at, self._counts = now, counts
        due = looked + passed + lost
        if rested or due == 0 or due >= self._least_fps * span_s:
            self._enough_at = now
        return {
            "fps": round(came / span_s, 1),
            "due_fps": round(due / span_s, 1),
            "analysed_fps": round(looked / span_s, 1),
            "passed_over_fps": round(passed / span_s, 1),
            "wait_s": round(sum(waits_s) / len(waits_s), 3) if waits_s else 0.0,
            "behind": due >= LEAST_DUE and looked + passed < KEPT_UP * due,
            "sparse": now - self._enough_at >= SPARSE_S,
        }
