"""How the picture as such is: pictures enter, a `ViewMeasure` of each leaves.

Everything is measured on a small grey copy, but for sharpness: a blur that ruins labels is gone from a small copy, so
lines of the full picture are read for it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.inference.printed_clock import PrintedClock
from detector.media.pictures import Picture
from detector.values import VIEW_SIZE, FloatArray, ViewMeasure

SAMPLED = 320  # the picture is sampled down to about this width first: averaging all of it takes several times as long
LINES, THICK = 20, 4  # lines of the full picture read for sharpness, each the mean of some rows, against noise
FINE, COARSE = 1, 8  # half distances, pixels, over which a step between light and dark is measured
FAINTEST = 8  # grey levels: weaker steps say nothing of sharpness
LARGEST_NOISE = 4.0  # mean square of the largest eighth of normal noise, in variances


class ViewGauge:
    """Measures one camera's pictures; remembers the one before, to tell when nothing changes any more."""

    def __init__(self) -> None:
        self._sample: NDArray[np.uint8] | None = None
        self._clock: PrintedClock | None = None
        self._quarters = 0  # by which pictures were turned, clockwise
        self._at = self._changed_at = 0.0

    def glance(self, picture: Picture, at: float) -> NDArray[np.uint8]:
        """Take note of a picture taken at frame time `at`, seconds; give a small grey sample of it.

        Every picture is to be shown, also those that nobody looks at closely.
        """
        luma = picture.luma()
        step = max(1, luma.shape[1] // SAMPLED)
        sample = np.ascontiguousarray(luma[::step, ::step])
        # A camera prints its clock before anybody turns the picture: it stands at an edge of what is stored.
        self._quarters = picture.turn // 90
        stored, small = np.rot90(luma, self._quarters), np.rot90(sample, self._quarters)
        if self._sample is None or self._clock is None:
            self._clock, self._changed_at = PrintedClock(stored, small, at), at
        else:
            self._clock.watch(stored, small, at)
            # Exactly equal, noise included: nothing a lens looks at is ever so still, though a codec may make it so.
            if not np.array_equal(sample, self._sample):
                self._changed_at = at
        self._sample, self._at = sample, at
        return sample

    @property
    def printed(self) -> NDArray[np.bool_] | None:
        """Where the sample of the newest picture shows a clock's letters; `None` where none is known."""
        letters = self._clock.letters if self._clock is not None else None
        return np.ascontiguousarray(np.rot90(letters, -self._quarters)) if letters is not None else None

    def measure(self, picture: Picture) -> ViewMeasure:
        """Measure the picture shown last."""
        assert self._sample is not None
        assert self._clock is not None
        grey = np.asarray(cv2.resize(self._sample, VIEW_SIZE, interpolation=cv2.INTER_AREA), np.uint8)
        mean, deviation = cv2.meanStdDev(grey)
        black, white = picture.levels
        return ViewMeasure(
            brightness=min(max((float(mean[0, 0]) - black) / (white - black), 0.0), 1.0),
            contrast=float(deviation[0, 0]) / (white - black),
            sharpness=sharpness(picture.luma()),
            edges=coarse(edges_of(grey)),
            still_s=self._at - self._changed_at,
            calm_s=self._at - self._clock.changed_at,
            has_clock=self.printed is not None,
        )


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


def coarse(edges: FloatArray) -> NDArray[np.int8]:
    """Edges in a byte each, but for their scale, which no correlation depends on."""
    largest = max(float(np.abs(edges).max()), 1e-9)
    return np.round(edges * np.float32(127 / largest)).astype(np.int8)


def sharpness(luma: NDArray[np.uint8]) -> float:
    """How steep the strongest steps between light and dark are, 0 (none, or all blurred) to about 1.

    Where grey differs most over sixteen pixels there are steps; at the steepest eighth of these places (two pixels of
    sixteen are at a step itself) the energy of the differences over two pixels is set against that over sixteen, less
    what noise has of it. A Gaussian blur of sigma pixels, above 1, leaves about 1 / sigma.

    Args:
        luma: `(H, W)` uint8; 20 times four of its rows are read.
    """
    height, width = luma.shape
    if width < 4 * COARSE:
        return 0.0
    rows = np.linspace(0, max(height - THICK, 0), LINES).astype(int)[:, None] + np.arange(min(THICK, height))
    lines = (luma[rows].sum(axis=1, dtype=np.uint16) // rows.shape[1]).astype(np.uint8)
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
