"""Decoded pictures as their decoder left them: FFmpeg's frames enter, `Picture`s leave, converted when asked."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from detector.media.pictures import Bgr, Image, Picture

# As FFmpeg numbers them. A picture that names no colour space is converted as BT.601, which is FFmpeg's own choice.
UNSPECIFIED, LIMITED, FULL = 2, 1, 2
# What red and what blue weigh in the brightness, by colour space: BT.709, BT.470BG, SMPTE 170M and BT.2020.
WEIGHTS = {1: (0.2126, 0.0722), UNSPECIFIED: (0.299, 0.114), 5: (0.299, 0.114), 6: (0.299, 0.114), 9: (0.2627, 0.0593)}


class Yuv:
    """A picture as nearly every decoder leaves it: brightness, and two planes of colour of half its sides.

    What is asked for small is resized plane by plane and then converted, which costs a third of the other order. `bgr`
    is FFmpeg's conversion; parts and small copies are rounded better and differ from it by about 1 of 255.

    Args:
        decoded: 8 bits in 4:2:0 (`picture_of` chooses); its memory is looked at and not copied.
    """

    turn = 0

    def __init__(self, decoded: av.VideoFrame) -> None:
        self.size = decoded.width, decoded.height
        self._decoded = decoded
        self._y, self._u, self._v = (
            np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]  # type: ignore[call-overload]
            for plane in decoded.planes
        )

    def bgr(self) -> Image:
        """The whole."""
        return self._bgr

    def luma(self) -> Image:
        """Its brightness as it was sent."""
        return np.asarray(self._y, np.uint8)

    @property
    def levels(self) -> tuple[int, int]:
        """Most cameras send 16 for black and 235 for white, some 0 and 255."""
        return (0, 255) if self._decoded.color_range == FULL else (16, 235)

    def resized(self, width: int, height: int) -> Image:
        """A copy of this size."""
        return self._converted(*(cv2.resize(plane, (width, height)) for plane in (self._y, self._u, self._v)))

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Image:
        """A part of it."""
        across, down = slice(left // 2, (right + 1) // 2), slice(top // 2, (bottom + 1) // 2)
        within = slice(top % 2, top % 2 + bottom - top), slice(left % 2, left % 2 + right - left)
        u, v = (plane[down, across].repeat(2, 0).repeat(2, 1)[within] for plane in (self._u, self._v))
        return self._converted(self._y[top:bottom, left:right], u, v)

    def _converted(self, *planes: Any) -> Image:
        """Planes of one size as BGR."""
        if not planes[0].size:
            return np.zeros((*planes[0].shape, 3), np.uint8)
        return np.asarray(cv2.transform(cv2.merge(planes), self._matrix), np.uint8)

    @cached_property
    def _bgr(self) -> Image:
        return _bgr(self._decoded)

    @cached_property
    def _matrix(self) -> NDArray[np.float32]:
        """From Y, U, V and 1 to B, G and R."""
        red, blue = WEIGHTS[self._decoded.colorspace]
        green = 1 - red - blue
        black, white = self.levels
        light, colour = 255 / (white - black), 1.0 if black == 0 else 255 / 224
        turns = colour * np.array([
            (2 * (1 - blue), 0),
            (-2 * (1 - blue) * blue / green, -2 * (1 - red) * red / green),
            (0, 2 * (1 - red)),
        ])  # fmt: skip
        offset = -turns.sum(1) * 128 - light * black
        return np.column_stack([np.full(3, light), turns, offset]).astype(np.float32)


def picture_of(decoded: av.VideoFrame) -> Picture:
    """A decoded picture; its memory stays in use as long as the picture.

    A colour space that can't be (cameras send all sorts of numbers) counts as none.
    """
    full = decoded.color_range == FULL or decoded.format.name == "yuvj420p"
    if decoded.colorspace not in WEIGHTS:
        decoded.colorspace = UNSPECIFIED
    decoded.color_range = FULL if full else LIMITED
    # What light the numbers stand for is no matter here, and FFmpeg refuses some.
    decoded.color_trc = decoded.color_primaries = UNSPECIFIED
    usual = decoded.format.name in ("yuv420p", "yuvj420p") and all(p.line_size >= p.width > 0 for p in decoded.planes)
    return Yuv(decoded) if usual else Bgr(_bgr(decoded))


def _bgr(decoded: av.VideoFrame) -> Image:
    """One thread: the scaler's own threads cost more in total, and the other cameras want the cores."""
    return np.asarray(decoded.to_ndarray(format="bgr24", threads=1), np.uint8)
