"""Regions of a picture that are rendered anew over the plate."""

from __future__ import annotations

import cv2
import numpy as np


def merged(boxes, least: int = 5) -> list[tuple[int, int, int, int]]:
    """Boxes x1, y1, x2, y2 in whole pixels such that no two overlap: overlapping ones become their common box.

    Boxes narrower or lower than `least` pixels are dropped.
    """
    left = [tuple(int(v) for v in b) for b in boxes]
    left = [b for b in left if b[2] - b[0] >= least and b[3] - b[1] >= least]
    apart: list[tuple[int, int, int, int]] = []
    while left:
        box = left.pop()
        for other in apart:
            if box[0] < other[2] and other[0] < box[2] and box[1] < other[3] and other[1] < box[3]:
                apart.remove(other)
                left.append(
                    (min(box[0], other[0]), min(box[1], other[1]), max(box[2], other[2]), max(box[3], other[3]))
                )
                break
        else:
            apart.append(box)
    return apart


def blended(plate, part) -> np.ndarray:
    """A rendered part `(h, w, 3)` on the plate's, fading to it at the rim, where noise and light differ a little."""
    height, width = part.shape[:2]
    rim = max(2, int(min(height, width) * 0.05))
    share = np.zeros((height, width), np.float32)
    share[rim:-rim, rim:-rim] = 1
    share = cv2.GaussianBlur(share, (0, 0), rim / 2)[..., None]
    return plate * (1 - share) + part * share
