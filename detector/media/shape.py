"""The shape in which pictures are shown: recorders and small streams often store fewer pixels across than they show.

A camera's 704x576 of a 16:9 picture has everybody a third too narrow, by which photos are told from other acts worse
(`models/evaluation/conditions.py`). What the stream says of it (H.264 calls it the sample aspect ratio) is believed; many
say nothing, so that a camera's configuration can (`aspect`).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from detector.media.containers import MOST_PIXELS, MOST_STRETCHED
from detector.media.pictures import Image, Picture

ALIKE = 0.03  # by so much of itself may a shape differ: encoders round to whole blocks
# Widths of analogue television by its heights, which cameras keep for their small streams: no sensor has such a shape.
TELEVISION = {height: frozenset({352, 704, 720, 960}) for height in (240, 288, 480, 576)}


def shown_size(stored: tuple[int, int], pixel_aspect: float = 1.0, aspect: float | None = None) -> tuple[int, int]:
    """Width and height of pictures as they are shown, with square pixels; none of the sides is made smaller.

    Args:
        stored: Width and height, pixels.
        pixel_aspect: How wide a pixel is by its height, as the stream says.
        aspect: Width through height of the picture, where somebody said so: that holds then.
    """
    width, height = stored
    if min(stored) <= 0:
        return stored
    wide = aspect * height / width if aspect is not None else pixel_aspect
    if abs(wide - 1.0) <= ALIKE or not 1 / MOST_STRETCHED <= wide <= MOST_STRETCHED:
        return stored
    size = (round(width * wide), height) if wide > 1.0 else (width, round(height / wide))
    return size if size[0] * size[1] <= MOST_PIXELS else stored


def is_doubtful(stored: tuple[int, int]) -> bool:
    """Whether pictures of this size, of which nobody says how they are shown, are hardly shown so."""
    return stored[0] in TELEVISION.get(stored[1], ())


def shaped(picture: Picture, size: tuple[int, int]) -> Picture:
    """A picture in the size in which it is shown."""
    return picture if picture.size == size else Stretched(picture, size)


class Stretched:
    """A picture that is shown in another shape than it is stored in.

    Args:
        picture: As it is stored.
        size: Width and height in which it is shown, pixels.
    """

    def __init__(self, picture: Picture, size: tuple[int, int]) -> None:
        self.size = size
        self._stored = picture

    def bgr(self) -> Image:
        """The whole."""
        return self._bgr

    def luma(self) -> Image:
        """Its brightness."""
        return self._luma

    @property
    def levels(self) -> tuple[int, int]:
        """What black and white are in `luma`."""
        return self._stored.levels

    def resized(self, width: int, height: int) -> Image:
        """A copy of this size."""
        return self._stored.resized(width, height)

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Image:
        """A part of it."""
        import cv2

        if right <= left or bottom <= top:
            return np.zeros((max(0, bottom - top), max(0, right - left), 3), np.uint8)
        (wide, high), (width, height) = self._stored.size, self.size
        across, down = wide / width, high / height
        # With a pixel round it, so that what lies on the border is mixed with what is beyond.
        x1, y1 = max(0, int(left * across) - 1), max(0, int(top * down) - 1)
        x2, y2 = min(wide, int(right * across) + 2), min(high, int(bottom * down) + 2)
        # Centres of pixels lie half of one from their border, in either size.
        place = np.array([
            (across, 0.0, (left + 0.5) * across - 0.5 - x1),
            (0.0, down, (top + 0.5) * down - 0.5 - y1),
        ])  # fmt: skip
        part = cv2.warpAffine(
            self._stored.cropped(x1, y1, x2, y2), place, (right - left, bottom - top),
            flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REPLICATE,
        )  # fmt: skip
        return np.asarray(part, np.uint8)

    @cached_property
    def _bgr(self) -> Image:
        return self._stored.resized(*self.size)

    @cached_property
    def _luma(self) -> Image:
        import cv2

        return np.asarray(cv2.resize(self._stored.luma(), self.size), np.uint8)
