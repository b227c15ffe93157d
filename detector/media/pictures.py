"""A camera's picture, as its readers want it: whole, small, or a part of it; each is made only when asked for."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


class Picture(Protocol):
    """One picture. Whoever asks for a part or a small copy need not pay for the whole in colour."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""

    def bgr(self) -> Image:
        """The whole, `(H, W, 3)` BGR; not to be written to."""

    def luma(self) -> Image:
        """Its brightness, `(H, W)`, from black to white as `levels` says; not to be written to."""

    @property
    def levels(self) -> tuple[int, int]:
        """What black and white are in `luma`."""

    @property
    def turn(self) -> int:
        """Degrees clockwise, 0, 90, 180 or 270, by which it was turned after it was stored."""

    def resized(self, width: int, height: int) -> Image:
        """A copy of this size, `(height, width, 3)` BGR, bilinear."""

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Image:
        """A part of it, `(bottom - top, right - left, 3)` BGR; the borders lie within the picture."""


class Bgr:
    """A picture that is there in colour already."""

    levels = (0, 255)
    turn = 0

    def __init__(self, image: Image) -> None:
        self._image = image

    @property
    def size(self) -> tuple[int, int]:
        """Width and height, pixels."""
        return self._image.shape[1], self._image.shape[0]

    def bgr(self) -> Image:
        """The whole."""
        return self._image

    def luma(self) -> Image:
        """Its green, which is most of what brightness is."""
        return self._image[..., 1]

    def resized(self, width: int, height: int) -> Image:
        """A copy of this size."""
        import cv2

        return np.asarray(cv2.resize(self._image, (width, height)), np.uint8)

    def cropped(self, left: int, top: int, right: int, bottom: int) -> Image:
        """A part of it."""
        return self._image[top:bottom, left:right]
