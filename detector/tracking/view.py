"""How well the camera itself sees: frames enter, a `CameraView` of each leaves.

Everything is measured on a small grey copy, but for sharpness: a blur that ruins labels is gone from a small copy, so
lines of the full picture are read for it.
"""

from __future__ import annotations

import logging
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.values import CameraView, FloatArray

logger = logging.getLogger(__name__)

SMALL = (160, 90)  # width and height of the small copy, whatever the picture's: learned edges outlive another size
SAMPLED = 320  # the picture is sampled down to about this width first: averaging all of it takes several times as long
LINES, THICK = 20, 4  # lines of the full picture read for sharpness, each the mean of some rows, against noise
FINE, COARSE = 1, 8  # half distances, pixels, over which a step between light and dark is measured
FAINTEST = 8  # grey levels: weaker steps say nothing of sharpness
LARGEST_NOISE = 4.0  # mean square of the largest eighth of normal noise, in variances

LEARN_S = 60.0  # the first usual view is known after so long
MEMORY_S = 1800.0  # goods come and go: what was usual fades in about this time
ADOPT_S = 1800.0  # another steady view this long is usual too: the camera was aimed anew, or it is night
LIKE = 0.35  # correlation from which a view is taken for a usual one, and learned
USUAL_VIEWS = 3  # remembered at most: by day, in infra-red, and one more
LONGEST_LOOK_S = 1.0  # one look never counts for more, whatever was missed since the one before


@dataclass(slots=True)
class _UsualView:
    """Mean edges `(90 * 160,)` of a view, how long it was looked at, and when last."""

    edges: FloatArray
    seen_s: float
    seen_at: float

    def learn(self, edges: FloatArray, seconds: float, at: float) -> None:
        self.seen_s = min(self.seen_s + seconds, MEMORY_S)
        self.edges = self.edges + np.float32(seconds / max(self.seen_s, 1e-3)) * (edges - self.edges)
        self.seen_at = at


class ViewMeter:
    """Measures one camera's view, and learns what it usually shows.

    Usual are up to three views. The first is learned in a minute. People pass, goods are moved and light changes, and
    all of it is averaged away; a view quite unlike is not learned from at all, so that what hides the scene for some
    minutes is never taken for it. Kept up for half an hour, it becomes a usual view itself.
    """

    def __init__(self) -> None:
        self._usual: list[_UsualView] = []
        self._other: _UsualView | None = None
        self._before: NDArray[np.uint8] | None = None
        self._at: float | None = None
        self._changed_at = 0.0

    def look(self, image: NDArray[np.uint8], at: float) -> CameraView:
        """Measure one picture.

        Args:
            image: `(H, W, 3)` uint8 BGR, at least one pixel.
            at: Frame time, seconds.
        """
        step = max(1, image.shape[1] // SAMPLED)
        sample = np.ascontiguousarray(image[::step, ::step, 1])  # green: most of what grey is, and a third of the bytes
        # Exactly equal, noise included: nothing a lens looks at is ever so still, though a codec may make it so.
        if self._before is None or not np.array_equal(sample, self._before):
            self._changed_at = at
        seconds = min(max(at - self._at, 0.0), LONGEST_LOOK_S) if self._at is not None else 0.0
        self._before, self._at = sample, at
        grey = np.asarray(cv2.resize(sample, SMALL, interpolation=cv2.INTER_AREA), np.uint8)
        mean, deviation = cv2.meanStdDev(grey)
        return CameraView(
            brightness=float(mean[0, 0]) / 255,
            contrast=float(deviation[0, 0]) / 255,
            sharpness=sharpness(image),
            likeness=self._likeness(edges_of(grey), seconds, at),
            still_s=at - self._changed_at,
        )

    def learned(self) -> dict[str, Any]:
        """The usual views; plain values, as JSON has them."""
        return {"usual": [{"edges": packed(view.edges), "seen_s": view.seen_s} for view in self._usual]}

    def recall(self, learned: dict[str, Any]) -> None:
        """Take up what `learned` gave; anything else is left out as a whole, and the log says why."""
        try:
            views = [(unpacked(view["edges"]), float(view["seen_s"])) for view in learned["usual"]]
        except (KeyError, TypeError, ValueError) as error:
            logger.warning("usual views of a camera can't be taken up and are learned anew: %s", error)
            return
        self._usual = [_UsualView(edges, seen_s, float("-inf")) for edges, seen_s in views[:USUAL_VIEWS]]

    def _likeness(self, edges: FloatArray, seconds: float, at: float) -> float | None:
        """Correlation with the usual view most alike; learns from this one."""
        alike = [correlation(view.edges, edges) for view in self._usual]
        best = max(alike, default=-1.0)
        if best >= LIKE:
            self._usual[alike.index(best)].learn(edges, seconds, at)
            self._other = None
        else:
            self._learn_other(edges, seconds, at)
        return best if alike else None

    def _learn_other(self, edges: FloatArray, seconds: float, at: float) -> None:
        """A view that is none of the usual ones: it becomes one, once it has been kept up for long enough."""
        if self._other is None or self._other.seen_s < 0:
            self._other = _UsualView(edges, 0.0, at)
            return
        if correlation(self._other.edges, edges) < LIKE:
            # Somebody walks past, or there is nothing to see: noise is never like itself.
            self._other.seen_s -= seconds
            return
        self._other.learn(edges, seconds, at)
        if self._other.seen_s >= (ADOPT_S if self._usual else LEARN_S):
            self._usual = sorted([*self._usual, self._other], key=lambda view: view.seen_at)[-USUAL_VIEWS:]
            self._other = None


def edges_of(grey: NDArray[np.uint8]) -> FloatArray:
    """Strength of the edges of a small grey picture, flattened, with mean 0 and length 1; all 0 where there are none.

    The square root keeps a few strong edges from speaking for all; a blur of three pixels forgives a shaking mast. What
    lies round each place is taken off, since any floor has fewer edges than any rack and would be like any other floor:
    it is where the edges run that tells views apart. Neither brightness nor contrast of the picture changes the result.
    """
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    strength = cv2.blur(np.sqrt(cv2.magnitude(across, down)), (3, 3))
    relief = np.asarray(strength - cv2.blur(strength, (15, 15)), np.float32).ravel()
    relief -= relief.mean()
    length = float(np.linalg.norm(relief))
    return relief / np.float32(length) if length > 0 else relief


def packed(edges: FloatArray) -> str:
    """Edges `(14400,)` as text: one byte each, in base64."""
    largest = max(float(np.abs(edges).max()), 1e-9)
    return b64encode(np.round(edges * np.float32(127 / largest)).astype(np.int8).tobytes()).decode()


def unpacked(text: str) -> FloatArray:
    """Edges from `packed`, but for their scale, which no correlation depends on.

    Raises:
        ValueError: The text is none from `packed`.
    """
    edges = np.frombuffer(b64decode(text, validate=True), np.int8).astype(np.float32)
    if edges.size != SMALL[0] * SMALL[1]:
        raise ValueError(f"{edges.size} edges instead of {SMALL[0] * SMALL[1]}")
    return edges / np.float32(max(float(np.linalg.norm(edges)), 1e-9))


def correlation(a: FloatArray, b: FloatArray) -> float:
    """Pearson correlation -1..1 of two arrays of mean 0; 0 where either is constant."""
    lengths = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / lengths if lengths > 0 else 0.0


def sharpness(image: NDArray[np.uint8]) -> float:
    """How steep the strongest steps between light and dark are, 0 (none, or all blurred) to about 1.

    Where grey differs most over sixteen pixels there are steps; at the steepest eighth of these places (two pixels of
    sixteen are at a step itself) the energy of the differences over two pixels is set against that over sixteen, less
    what noise has of it. A Gaussian blur of sigma pixels, above 1, leaves about 1 / sigma.

    Args:
        image: `(H, W, 3)` uint8 BGR; of its green rows 20 times four are read.
    """
    height, width = image.shape[:2]
    if width < 4 * COARSE:
        return 0.0
    rows = np.linspace(0, max(height - THICK, 0), LINES).astype(int)[:, None] + np.arange(min(THICK, height))
    lines = (image[rows, :, 1].sum(axis=1, dtype=np.uint16) // rows.shape[1]).astype(np.uint8)
    coarse = cv2.absdiff(lines[:, 2 * COARSE :], lines[:, : -2 * COARSE])
    inner = lines[:, COARSE - FINE : FINE - COARSE]  # its steps have the same middles as the coarse ones
    fine = cv2.absdiff(inner[:, 2 * FINE :], inner[:, : -2 * FINE])
    coarse_counts = _counts(coarse)
    least = max(_quantile(coarse_counts, 0.95), FAINTEST)
    if coarse_counts[least:].sum() < 16:
        return 0.0
    there = _counts(fine, (coarse >= least).astype(np.uint8))
    there[: _quantile(there, 1 - FINE / COARSE)] = 0
    noise = _quantile(_counts(fine), 0.5) / 0.6745  # standard deviation, by the median of a normal distribution
    steep, high = _energy(there) - LARGEST_NOISE * noise**2, _energy(coarse_counts[least:], least)
    return float(np.sqrt(max(steep, 0.0) / high))


def _counts(steps: cv2.typing.MatLike, where: cv2.typing.MatLike | None = None) -> FloatArray:
    """How often each grey difference 0..255 occurs; everything else follows from it at little cost."""
    return np.asarray(cv2.calcHist([steps], [0], where, [256], [0, 256]).ravel(), np.float32)


def _quantile(counts: FloatArray, share: float) -> int:
    return int(np.searchsorted(np.cumsum(counts), share * counts.sum()))


def _energy(counts: FloatArray, first: int = 0) -> float:
    """Mean square of differences from `first` on."""
    values = np.arange(first, first + len(counts), dtype=np.float32)
    return float(counts @ np.square(values) / max(counts.sum(), 1.0))
