"""Picture to network input: resized with its aspect kept, lit as networks know it, padded; and boxes back again.

In a badly lit hall, or a dark corner of a bright one, people, parcels and most of all phones are overlooked by a
network that learnt from pictures as bright as most are, and so they are where glare or a dirty dome lies over all like
a veil (`models/evaluation/conditions.py`). So a veil is taken off first, and what is dark is made lighter; a close look
at somebody by what that alone shows.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.media.pictures import Picture
from detector.values import FloatArray

STRIDE = 32
GREY = np.float32(114)
PER_LEVEL = np.float32(1 / 255)
# What a picture's light is brought to, grey levels of its green, which is most of what brightness is:
CONTRAST = 150.0  # from its darkest to its lightest places, where that is less; of most it is 180 to 250
BLACK = 20.0  # its darkest places then; beneath is what lies over all of it
DARK = 80.0  # its mean, where that is darker; of most it is 90 to 130
WHITE = 255.0  # its lightest places, at most by that
FAINTEST = 8.0  # contrast of a picture in which there is nothing to be seen, which is left as it is
ENDS = (0.01, 0.99)  # shares of the picture that are darker than its darkest and its lightest places
LARGEST_GAIN = 4.0  # beyond there is hardly anything but noise


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in the network's input: input = picture * scale + offset, pixels.

    The scales differ by the rounding to whole pixels, which is much for a very long and narrow picture.
    """

    scale_x: float
    scale_y: float
    offset_x: float
    offset_y: float

    def to_picture(self, boxes: FloatArray) -> FloatArray:
        """Boxes `(N, 4)` from input pixels to picture pixels."""
        shift = np.array([self.offset_x, self.offset_y] * 2, np.float32)
        return ((boxes - shift) / np.array([self.scale_x, self.scale_y] * 2, np.float32)).astype(np.float32)


class Letterbox:
    """Fits pictures into rectangles, for one thread.

    The memory is used again: several megabytes anew for each picture cost more than filling them.
    """

    def __init__(self) -> None:
        self._planes = np.empty(0, np.uint8)
        self._tensor = np.empty(0, np.float32)

    def __call__(
        self, picture: Picture, side: int, fixed: tuple[int, int] | None = None
    ) -> tuple[NDArray[np.float32], Placement]:
        """Fit a picture into a rectangle whose long side is `side`.

        Args:
            picture: Which.
            side: Long side of the input, a multiple of 32.
            fixed: Height and width of the input where the network insists on them; then `side` means nothing.

        Returns:
            `(1, 3, h, w)` RGB float32 0..1, h and w multiples of 32 or those fixed, until the next call; and the
            placement that maps boxes back.
        """
        width, height = picture.size
        scale = min(fixed[0] / height, fixed[1] / width) if fixed else side / max(height, width)
        new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
        full_height, full_width = fixed or (-(-n // STRIDE) * STRIDE for n in (new_height, new_width))
        left, top = (full_width - new_width) // 2, (full_height - new_height) // 2
        size = 3 * full_height * full_width
        if size > len(self._tensor):
            self._planes, self._tensor = np.empty(size, np.uint8), np.empty(size, np.float32)
        tensor = self._tensor[:size].reshape(1, 3, full_height, full_width)
        bottom, right = top + new_height, left + new_width
        for border in (tensor[..., :top, :], tensor[..., bottom:, :], tensor[..., :left], tensor[..., right:]):
            border.fill(GREY * PER_LEVEL)
        # Colours apart first, since numpy is slow where they take turns; then to floats, straight to their place.
        planes = self._planes[: 3 * new_height * new_width].reshape(3, new_height, new_width)
        cv2.split(picture.resized(new_width, new_height), list(planes))
        veil, gain = light_of(planes[1])
        for values, channel in zip(planes, tensor[0, ::-1, top:bottom, left:right], strict=True):
            np.multiply(values, PER_LEVEL * gain, out=channel)
            if veil > 0 or gain > 1:
                channel -= PER_LEVEL * gain * veil
                np.clip(channel, 0, 1, out=channel)
        return tensor, Placement(new_width / width, new_height / height, left, top)


def light_of(green: NDArray[np.uint8]) -> tuple[np.float32, np.float32]:
    """How many grey levels to take off a picture, and by how much to multiply it then; 0 and 1 of most.

    Args:
        green: `(H, W)` of the picture.
    """
    counts = cv2.calcHist([green], [0], None, [256], [0, 256]).ravel()
    darkest, lightest = (float(level) for level in np.searchsorted(np.cumsum(counts), np.multiply(ENDS, green.size)))
    if lightest - darkest < FAINTEST:
        return np.float32(0), np.float32(1)
    gain = min(max(CONTRAST / (lightest - darkest), 1.0), LARGEST_GAIN)
    veil = max(darkest - BLACK / gain, 0.0) if gain > 1 else 0.0
    mean = float(counts @ np.arange(256, dtype=np.float32)) / green.size - veil
    # A lamp or a masked part of the picture doesn't make the rest of it dark.
    lighter = min(DARK / max(mean, 1.0), WHITE / (lightest - veil))
    return np.float32(veil), np.float32(min(max(gain, lighter), LARGEST_GAIN))
