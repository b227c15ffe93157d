"""What a camera usually shows: a `ViewMeasure` of each look enters, a `CameraView` with its likeness leaves."""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from detector.values import VIEW_SIZE, CameraView, FloatArray, ViewMeasure

logger = logging.getLogger(__name__)

LEARN_S = 60.0  # the first usual view is known after so long
MEMORY_S = 1800.0  # goods come and go: what was usual fades in about this time
ADOPT_S = 1800.0  # another steady view this long is usual too: the camera was aimed anew, or it is night
LIKE = 0.35  # correlation from which a view is taken for a usual one, and learned
BLANK = 0.25  # of the most contrast of a usual view: something hides the scene, however long it does
USUAL_VIEWS = 3  # remembered at most: by day, in infra-red, and one more
LONGEST_LOOK_S = 6.0  # one look never counts for more, whatever was missed since the one before


@dataclass(slots=True)
class _UsualView:
    """Mean edges `(90 * 160,)` and contrast of a view, how long it was looked at, and when last."""

    edges: FloatArray
    contrast: float
    seen_s: float
    seen_at: float

    def learn(self, edges: FloatArray, contrast: float, seconds: float, at: float) -> None:
        self.seen_s = min(self.seen_s + seconds, MEMORY_S)
        share = seconds / max(self.seen_s, 1e-3)
        self.edges = self.edges + np.float32(share) * (edges - self.edges)
        self.contrast += share * (contrast - self.contrast)
        self.seen_at = at

    def kept(self) -> dict[str, Any]:
        """As JSON has it, without frame times."""
        return {"edges": packed(self.edges), "contrast": self.contrast, "seen_s": self.seen_s}

    @classmethod
    def again(cls, kept: dict[str, Any]) -> _UsualView:
        """What `kept` gave; a `KeyError`, `TypeError` or `ValueError` where it gave something else."""
        edges = unpacked(kept["edges"])
        contrast = float(kept.get("contrast", 0.0))  # an older version didn't keep it
        return cls(edges, contrast, float(kept["seen_s"]), float("-inf"))


class UsualViews:
    """Learns what one camera usually shows.

    Usual are up to three views. The first is learned in a minute. People pass, goods are moved and light changes, and
    all of it is averaged away; a view quite unlike is not learned from at all, so that what hides the scene for some
    minutes is never taken for it. Kept up for half an hour, it becomes a usual view itself, unless it shows next to
    nothing: a cloth before the lens is as like itself as any hall.
    """

    def __init__(self) -> None:
        self._usual: list[_UsualView] = []
        self._other: _UsualView | None = None
        self._at: float | None = None

    def look(self, measure: ViewMeasure, at: float) -> CameraView:
        """How a picture taken at frame time `at`, seconds, fits in; it is learned from."""
        seconds = min(max(at - self._at, 0.0), LONGEST_LOOK_S) if self._at is not None else 0.0
        self._at = at
        return CameraView(
            brightness=measure.brightness,
            contrast=measure.contrast,
            sharpness=measure.sharpness,
            likeness=self._likeness(normed(measure.edges), measure.contrast, seconds, at),
            still_s=measure.still_s,
            calm_s=measure.calm_s,
            has_clock=measure.has_clock,
        )

    def learned(self) -> dict[str, Any]:
        """The usual views, and the one that is becoming usual; plain values, as JSON has them."""
        return {"usual": [view.kept() for view in self._usual], "other": self._other.kept() if self._other else None}

    def recall(self, learned: dict[str, Any]) -> None:
        """Take up what `learned` gave; anything else is left out as a whole, and the log says why."""
        try:
            usual = [_UsualView.again(kept) for kept in learned["usual"]]
            other = _UsualView.again(learned["other"]) if learned.get("other") else None
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("usual views of a camera can't be taken up and are learned anew: %s", error)
            return
        self._usual, self._other = usual[:USUAL_VIEWS], other

    def _likeness(self, edges: FloatArray, contrast: float, seconds: float, at: float) -> float | None:
        """Correlation with the usual view most alike; learns from this one."""
        alike = [correlation(view.edges, edges) for view in self._usual]
        best = max(alike, default=-1.0)
        if best >= LIKE:
            self._usual[alike.index(best)].learn(edges, contrast, seconds, at)
            self._other = None
        elif contrast >= BLANK * max((view.contrast for view in self._usual), default=0.0):
            self._learn_other(edges, contrast, seconds, at)
        return best if alike else None

    def _learn_other(self, edges: FloatArray, contrast: float, seconds: float, at: float) -> None:
        """A view that is none of the usual ones: it becomes one, once it has been kept up for long enough."""
        if self._other is None or self._other.seen_s < 0:
            self._other = _UsualView(edges, contrast, 0.0, at)
            return
        if correlation(self._other.edges, edges) < LIKE:
            # Somebody walks past, or there is nothing to see: noise is never like itself.
            self._other.seen_s -= seconds
            return
        self._other.learn(edges, contrast, seconds, at)
        if self._other.seen_s >= (ADOPT_S if self._usual else LEARN_S):
            self._usual = sorted([*self._usual, self._other], key=lambda view: view.seen_at)[-USUAL_VIEWS:]
            self._other = None


def packed(edges: FloatArray) -> str:
    """Edges `(14400,)` as text: one byte each, in base64."""
    largest = max(float(np.abs(edges).max()), 1e-9)
    return b64encode(np.round(edges * np.float32(127 / largest)).astype(np.int8).tobytes()).decode()


def unpacked(text: str) -> FloatArray:
    """Edges from `packed`, but for their scale, which no correlation depends on.

    Raises:
        ValueError: The text is none from `packed`.
    """
    edges = np.frombuffer(b64decode(text, validate=True), np.int8)
    if edges.size != VIEW_SIZE[0] * VIEW_SIZE[1]:
        raise ValueError(f"{edges.size} edges instead of {VIEW_SIZE[0] * VIEW_SIZE[1]}")
    return normed(edges)


def normed(edges: NDArray[np.int8]) -> FloatArray:
    """Edges with length 1; all 0 where there are none."""
    return edges.astype(np.float32) / np.float32(max(float(np.linalg.norm(edges.astype(np.float32))), 1e-9))


def correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson correlation -1..1 of two arrays of mean 0; 0 where either is constant."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else 0.0
