"""Whether a camera's small picture shows what its large one does: two pictures of other shapes enter, an answer leaves.

Small streams often hold the large one's view squeezed to another shape. Others show a part of it, or more. The two are
told apart by what the pictures show: laid over each other whole, or by their middles.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.media.pictures import Image, Picture

GRID = (160, 90)  # width and height in which pictures are laid over each other
COARSE = 4.0  # what changes over more of these pixels is light, not what is there (sigma of a Gaussian)
LEAST_ALIKE = 0.5  # correlation of pictures of one view, at least
PLAIN = 1.5  # of 255: by less than this the pixels of a picture in which nothing can be seen differ
CLEAR = 4.0  # by so much do those of one in which things are seen: by day by 11 to 18, while noise comes to 2


def shows_the_same(small: Picture, large: Picture) -> bool | None:
    """Whether two pictures of one moment have one field of view; `None` where that can't be seen, as in the dark."""
    whole_small, whole_large = small.luma(), large.luma()
    shape = small.size[0] / small.size[1] / (large.size[0] / large.size[1])
    whole = _alike(whole_small, whole_large)
    # A narrower one may be the middle of the other's width, or the other the middle of its height; and so on.
    parts = (
        (_alike(whole_small, _middle(whole_large, shape, 1.0)), _alike(_middle(whole_small, 1.0, shape), whole_large))
        if shape < 1
        else (
            _alike(whole_small, _middle(whole_large, 1.0, 1 / shape)),
            _alike(_middle(whole_small, 1 / shape, 1.0), whole_large),
        )
    )
    best = max(whole, *parts)
    if best >= LEAST_ALIKE:
        return whole == best
    # Another part, as where a cut picture is squeezed besides; unless too little is seen to know.
    seen = min(float(_detail(image).std()) for image in (whole_small, whole_large))
    return False if seen >= CLEAR else None


def _middle(image: Image, across: float, down: float) -> Image:
    """The middle of a picture, so much of its width and height."""
    height, width = image.shape
    wide, high = max(1, round(width * across)), max(1, round(height * down))
    left, top = (width - wide) // 2, (height - high) // 2
    return image[top : top + high, left : left + wide]


def _alike(one: Image, other: Image) -> float:
    """Correlation of what two pictures show, -1 to 1; 0 where one of them shows nothing."""
    first, second = _detail(one), _detail(other)
    strengths = float(first.std()), float(second.std())
    if min(strengths) < PLAIN:
        return 0.0
    return float((first * second).mean()) / (strengths[0] * strengths[1])


def _detail(image: Image) -> NDArray[np.float32]:
    """What a picture shows beside its light, `(H, W)` of the grid."""
    grid = cv2.resize(image, GRID, interpolation=cv2.INTER_AREA).astype(np.float32)
    return grid - cv2.GaussianBlur(grid, (0, 0), COARSE)
