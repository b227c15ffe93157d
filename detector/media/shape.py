"""The shape in which pictures are shown: many are stored with fewer pixels across than they show, some not upright.

A camera's 704x576 of a 16:9 picture has everybody a third too narrow, by which photos are told from other acts worse
(`models/evaluation/conditions.py`); people on their sides are mostly overlooked. What a recording or stream says of it
(H.264 calls it the sample aspect ratio, MP4 has a matrix in its track header) is believed; many say nothing, so that a
camera's configuration can (`aspect`, `turned`).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from detector.media.containers import MOST_PIXELS, MOST_STRETCHED, turn_of
from detector.media.pictures import Image, Picture

ALIKE = 0.03  # by so much of itself may a shape differ: encoders round to whole blocks
# Widths of analogue television by its heights, which cameras keep for their small streams: no sensor has such a shape.
TELEVISION = {height: frozenset({352, 704, 720, 960}) for height in (240, 288, 480, 576)}


@dataclass(frozen=True, slots=True)
class Shape:
    """What somebody says of how pictures are shown; where they say nothing, recording or stream is believed.

    Attributes:
        aspect: Width through height of the picture before it is turned.
        turn: Degrees clockwise by which it has to be turned to be upright: 0, 90, 180 or 270.
    """

    aspect: float | None = None
    turn: int | None = None


AS_TOLD = Shape()


def shown(picture: Picture, shape: Shape = AS_TOLD, *, pixel_aspect: float = 1.0, turn: int = 0) -> Picture:
    """A picture as it is shown.

    Args:
        picture: As it is stored.
        shape: What somebody says of it.
        pixel_aspect: How wide a pixel is by its height, as the stream says.
        turn: By how much it is to be turned, degrees clockwise, as the recording says.
    """
    turn = turn if shape.turn is None else shape.turn
    level = shaped(picture, level_size(picture.size, pixel_aspect, shape.aspect))
    return Turned(level, turn) if turn else level


def shown_size(stored: tuple[int, int], shape: Shape = AS_TOLD, *, pixel_aspect: float = 1.0) -> tuple[int, int]:
    """Width and height of a stream's pictures as they are shown.

    Args:
        stored: Width and height, pixels.
        shape: What somebody says of it.
        pixel_aspect: How wide a pixel is by its height, as the stream says.
    """
    return across(level_size(stored, pixel_aspect, shape.aspect), shape.turn or 0)


def turn_in(path: Path, shape: Shape = AS_TOLD) -> int:
    """Degrees clockwise by which pictures of a file are turned: as somebody says, else as the file does."""
    return turn_of(path) if shape.turn is None else shape.turn


def across(size: tuple[int, int], turn: int) -> tuple[int, int]:
    """Width and height of what was turned by so many degrees, a multiple of 90."""
    return size if turn % 180 == 0 else (size[1], size[0])


def level_size(stored: tuple[int, int], pixel_aspect: float = 1.0, aspect: float | None = None) -> tuple[int, int]:
    """Width and height of pictures with square pixels, before they are turned; none of the sides is made smaller.

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

    @property
    def turn(self) -> int:
        """Degrees clockwise by which it was turned."""
        return self._stored.turn

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


class Turned:
    """A picture that is shown turned.

    Args:
        picture: As it is stored.
        turn: Degrees clockwise, 90, 180 or 270.
    """

    def __init__(self, picture: Picture, turn: int) -> None:
        self.size = across(picture.size, turn)
        self.turn = turn
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
        return self._turned(self._stored.resized(*across((width, height), self.turn)))

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Image:
        """A part of it."""
        wide, high = self._stored.size
        x1, y1, x2, y2 = {
            90: (top, high - right, bottom, high - left),
            180: (wide - right, high - bottom, wide - left, high - top),
            270: (wide - bottom, left, wide - top, right),
        }[self.turn]
        return self._turned(self._stored.cropped(x1, y1, x2, y2))

    def _turned(self, image: Image) -> Image:
        import cv2

        if not image.size:
            return np.ascontiguousarray(np.rot90(image, -self.turn // 90))
        how = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}[self.turn]
        return np.asarray(cv2.rotate(image, how), np.uint8)

    @cached_property
    def _bgr(self) -> Image:
        return self._turned(self._stored.bgr())

    @cached_property
    def _luma(self) -> Image:
        return self._turned(self._stored.luma())
