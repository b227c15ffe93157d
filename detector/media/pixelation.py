"""Pixelation: parts of a picture are averaged into so few blocks that what stood there can't be read.

Pictures are arrays of `(height, width)` or `(height, width, channels)`: a plane of a video frame as well as a picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.geometry import grown
from detector.values import Box

Blocks = tuple[int, int]  # across, down

LABEL_BLOCKS: Blocks = (2, 2)
LABEL_MARGIN = 0.15  # of a label's width and height, on each side


def redacted(image: NDArray[np.uint8], parcels: Sequence[Box], labels: Sequence[Box]) -> NDArray[np.uint8]:
    """A copy of the picture in which no label can be read: parcels coarse, since one may go undetected, labels blurred.

    To be done at its full size, so that no label is ever encoded.
    """
    return blurred(coarse(image, list(parcels)), list(labels))


def blurred(image: NDArray[np.uint8], boxes: list[Box]) -> NDArray[np.uint8]:
    """A copy of the picture with each box, grown a little, averaged down to four blocks, beyond reading."""
    out = image.copy()
    for box in boxes:
        pixelate(out, grown(box, LABEL_MARGIN), LABEL_BLOCKS)
    return out


def coarse(image: NDArray[np.uint8], boxes: list[Box]) -> NDArray[np.uint8]:
    """A copy of the picture with each box averaged into blocks of 8 pixels or more, 14 across at most.

    A parcel can still be told by its shape and colour; a label on it is a few blocks, its print gone.
    """
    out = image.copy()
    height, width = image.shape[:2]
    for box in boxes:
        left, top, right, bottom = _within(box, width, height)
        pixelate(out, box, coarse_blocks(right - left, bottom - top))
    return out


def coarse_blocks(width: int, height: int) -> Blocks:
    """How many blocks a box of so many pixels is averaged into by `coarse`."""
    return min(14, max(1, width // 8)), min(14, max(1, height // 8))


def pixelate(image: NDArray[Any], box: Box, blocks: Blocks) -> None:
    """Average a box of the picture, in place; every pixel that it touches is changed, what is outside is not."""
    height, width = image.shape[:2]
    left, top, right, bottom = _within(box, width, height)
    if right - left < 1 or bottom - top < 1:
        return
    part = image[top:bottom, left:right]
    few = cv2.resize(part, blocks, interpolation=cv2.INTER_AREA)
    image[top:bottom, left:right] = cv2.resize(few, (right - left, bottom - top))


def _within(box: Box, width: int, height: int) -> tuple[int, int, int, int]:
    x1, y1, x2, y2 = box
    return max(0, int(x1)), max(0, int(y1)), min(width, int(x2) + 1), min(height, int(y2) + 1)
