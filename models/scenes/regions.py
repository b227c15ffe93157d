"""Regions of a picture that are rendered anew over the plate."""

from __future__ import annotations

import cv2
import numpy as np

CELL = 16  # pixels; regions are made of cells of this size
CALL = 4000  # pixels that could be rendered in the time that one more region costs
RIM = 12  # pixels in which a region fades into the plate, where noise and light differ a little


def around(outlines, size, margin: float) -> np.ndarray:
    """Cells `(rows, columns)` of a picture `(width, height)` that lie within `margin` pixels of any outline's points.

    Outlines are dense point sets `(N, 2)` in pixels; of few points the hull counts.
    """
    width, height = size
    cells = np.zeros((-(-height // CELL), -(-width // CELL)), np.uint8)
    reach = int(np.ceil(margin / CELL))
    # drawn with a border as wide as the margin: what is just outside the picture still throws its shadow into it
    cells = cv2.copyMakeBorder(cells, reach, reach, reach, reach, cv2.BORDER_CONSTANT, value=0)
    for points in outlines:
        at = np.floor(np.asarray(points, float) / CELL) + reach
        if len(points) < 100:
            hull = cv2.convexHull(np.clip(at, -9e3, 9e3).astype(np.int32))
            cv2.fillConvexPoly(cells, hull, 1)
            continue
        at = at[((at >= 0) & (at < cells.shape[::-1])).all(1)].astype(int)
        cells[at[:, 1], at[:, 0]] = 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    grown = cv2.dilate(cells, disc)
    return grown[reach : grown.shape[0] - reach, reach : grown.shape[1] - reach].astype(bool)


def covering(cells, size) -> list[tuple[int, int, int, int]]:
    """Boxes x1, y1, x2, y2 in pixels that cover all marked `cells` of a picture `(width, height)`.

    Few boxes or little waste: two are put together where that costs fewer pixels than one more call to the renderer.
    They may overlap a little.
    """
    boxes = []
    for row, marked in enumerate(cells):
        edges = np.flatnonzero(np.diff(np.concatenate([[0], marked.astype(np.int8), [0]])))
        boxes += [(int(a), row, int(b), row + 1) for a, b in edges.reshape(-1, 2)]

    def area(box) -> int:
        return (box[2] - box[0]) * (box[3] - box[1])

    def joined(a, b):
        return min(a[0], b[0]), min(a[1], b[1]), max(a[2], b[2]), max(a[3], b[3])

    while len(boxes) > 1:
        waste, i, j = min(
            (area(joined(a, b)) - area(a) - area(b), i, j) for i, a in enumerate(boxes) for j, b in enumerate(boxes[:i])
        )
        if waste * CELL**2 > CALL:
            break
        both = joined(boxes[i], boxes[j])
        boxes = [b for k, b in enumerate(boxes) if k not in (i, j)] + [both]
    width, height = size
    return [(x1 * CELL, y1 * CELL, min(x2 * CELL, width), min(y2 * CELL, height)) for x1, y1, x2, y2 in boxes]


def faded(plate, picture, touched) -> np.ndarray:
    """`picture` `(H, W, 3)` where `touched` `(H, W)`, fading into the plate at the rim of that, not at the border."""
    if touched.all():
        return picture
    inside = cv2.distanceTransform(touched.astype(np.uint8), cv2.DIST_L2, 3)
    share = np.clip((inside - 1) / RIM, 0, 1)[..., None]
    return (plate * (1 - share) + picture * share).astype(np.float32)
