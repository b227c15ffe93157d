"""Picture to network input: resized with its aspect kept, padded to whole strides; and boxes back again."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.values import FloatArray

STRIDE = 32
GREY = 114


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


def letterbox(
    image: NDArray[np.uint8], side: int, fixed: tuple[int, int] | None = None
) -> tuple[NDArray[np.float32], Placement]:
    """Fit a picture into a rectangle whose long side is `side`.

    Args:
        image: `(H, W, 3)` BGR uint8.
        side: Long side of the input, a multiple of 32.
        fixed: Height and width of the input where the network insists on them; then `side` means nothing.

    Returns:
        `(1, 3, h, w)` RGB float32 0..1, h and w multiples of 32 or those fixed, and the placement that maps boxes back.
    """
    height, width = image.shape[:2]
    scale = min(fixed[0] / height, fixed[1] / width) if fixed else side / max(height, width)
    new_width, new_height = max(1, round(width * scale)), max(1, round(height * scale))
    full_height, full_width = fixed or (-(-n // STRIDE) * STRIDE for n in (new_height, new_width))
    left, top = (full_width - new_width) // 2, (full_height - new_height) // 2
    canvas = np.full((full_height, full_width, 3), GREY, np.uint8)
    canvas[top : top + new_height, left : left + new_width] = cv2.resize(image, (new_width, new_height))
    tensor = cv2.dnn.blobFromImage(canvas, 1 / 255, swapRB=True)
    return np.asarray(tensor, np.float32), Placement(new_width / width, new_height / height, left, top)
