"""Where to look closely: a person's box enters, the square round upper body and hands leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from detector.geometry import SAME_PERSON, closeness
from detector.values import Box, FloatArray


def zoom_square(box: Box) -> tuple[float, float, float]:
    """Square `(x, y, side)` round upper body and hands of a person, pixels; it may reach beyond the picture.

    Standing people are cut above the knee, so that the hands come out larger; a crouching one is taken whole. The
    training tiles (`models/dataset.py`) are cut by the same rule.
    """
    x1, y1, x2, y2 = box
    side = 1.3 * max(x2 - x1, 0.65 * (y2 - y1))
    return (x1 + x2) / 2 - side / 2, y1 - 0.1 * side, side


def within(size: tuple[int, int], x: float, y: float, side: float) -> tuple[int, int, int, int]:
    """Borders of the part of the square inside a picture of `size` (width, height), left, top, right and bottom."""
    width, height = size
    left, top = max(0, round(x)), max(0, round(y))
    return left, top, max(left, min(width, round(x + side))), max(top, min(height, round(y + side)))


def cut_square(image: NDArray[np.uint8], x: float, y: float, side: float) -> tuple[NDArray[np.uint8], int, int]:
    """Part of the square inside the picture, maybe none, and the picture coordinates of its top left corner."""
    left, top, right, bottom = within((image.shape[1], image.shape[0]), x, y, side)
    return image[top:bottom, left:right], left, top


def missed_of(seen: FloatArray, known: FloatArray) -> FloatArray:
    """Boxes `(K, 4)` of those known who are missed now.

    Args:
        seen: `(N, 4)` people detected in this frame.
        known: `(M, 4)` people known from the frames before.
    """
    is_missed = closeness(known, seen).max(1, initial=0.0) < SAME_PERSON
    return np.asarray(known[is_missed], np.float32)
