"""Pure geometry of boxes, points, polygons and rays in the picture plane; arrays in, new arrays out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from detector.values import Box, FloatArray

Floats = NDArray[np.float64]

SAME_PERSON = 0.15  # closeness from which two boxes may be the same person a moment apart


def areas(boxes: FloatArray) -> FloatArray:
    """Areas `(N,)` of boxes `(N, 4)` x1, y1, x2, y2; a box turned inside out has none."""
    size = np.clip(boxes[:, 2:] - boxes[:, :2], 0, None)
    return np.asarray(size[:, 0] * size[:, 1], np.float32)


def intersections(a: FloatArray, b: FloatArray) -> FloatArray:
    """Common areas `(N, M)` of boxes `(N, 4)` and `(M, 4)`."""
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.T[:, :, None], b.T
    width = np.maximum(np.minimum(ax2, bx2) - np.maximum(ax1, bx1), 0)
    height = np.maximum(np.minimum(ay2, by2) - np.maximum(ay1, by1), 0)
    return np.asarray(width * height, np.float32)


def iou(a: FloatArray, b: FloatArray) -> FloatArray:
    """Intersection over union `(N, M)` of boxes `(N, 4)` and `(M, 4)`; 0 where both are empty."""
    common = intersections(a, b)
    union = areas(a)[:, None] + areas(b)[None, :] - common
    return np.asarray(np.divide(common, union, out=np.zeros_like(common), where=union > 0), np.float32)


def closeness(expected: FloatArray, seen: FloatArray) -> FloatArray:
    """How well boxes of people `(N, 4)` and `(M, 4)` fit, `(N, M)` in 0..1.

    IoU; where they hardly overlap, up to 0.3 for centres within half a height of each other and like areas.
    """
    overlap = iou(expected, seen)
    if not overlap.size:
        return overlap
    a, b = (expected[:, :2] + expected[:, 2:]) / 2, (seen[:, :2] + seen[:, 2:]) / 2
    apart = np.linalg.norm(a[:, None] - b[None], axis=2)
    height = np.maximum(expected[:, 3] - expected[:, 1], 1)[:, None]
    first, second = np.maximum(areas(expected), 1)[:, None], np.maximum(areas(seen), 1)[None]
    like = np.minimum(first / second, second / first)
    near = 0.3 * np.clip(1 - apart / (0.5 * height), 0, 1) * (like > 0.5)
    return np.asarray(np.maximum(overlap, near), np.float32)


def distance(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Distance of two points."""
    return float(((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5)


def centre(box: Box) -> tuple[float, float]:
    """Centre of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def foot(box: Box) -> tuple[float, float]:
    """Bottom centre of a box: where a person stands."""
    return (box[0] + box[2]) / 2, box[3]


def head(box: Box) -> tuple[float, float]:
    """About where the head of a person is: top centre, a little in."""
    return (box[0] + box[2]) / 2, box[1] + 0.08 * (box[3] - box[1])


def grown(box: Box, share: float) -> Box:
    """The box with `share` of its width and height added on each side."""
    dx, dy = share * (box[2] - box[0]), share * (box[3] - box[1])
    return box[0] - dx, box[1] - dy, box[2] + dx, box[3] + dy


def contains(box: Box, point: tuple[float, float]) -> bool:
    """Whether a point lies in the box or on its border."""
    return box[0] <= point[0] <= box[2] and box[1] <= point[1] <= box[3]


def covered_share(box: Box, cover: Box) -> float:
    """Share 0..1 of `box` that `cover` hides; 0 for an empty box."""
    width = min(box[2], cover[2]) - max(box[0], cover[0])
    height = min(box[3], cover[3]) - max(box[1], cover[1])
    area = (box[2] - box[0]) * (box[3] - box[1])
    return max(0.0, width) * max(0.0, height) / area if area > 0 else 0.0


def points_in_polygon(points: FloatArray, polygon: FloatArray) -> NDArray[np.bool_]:
    """Which points lie inside a polygon (even-odd rule); an edge counts for one side only.

    Args:
        points: `(N, 2)` x, y.
        polygon: `(M, 2)` corners in order, not closed.

    Returns:
        `(N,)` booleans. Source: Franklin's crossing test (PNPOLY).
    """
    x, y = points[:, :1], points[:, 1:]
    ax, ay = polygon.T
    bx, by = np.concatenate([polygon[1:], polygon[:1]]).T
    spans = (ay > y) != (by > y)
    rise = np.where(spans, by - ay, 1.0)  # an edge that isn't met may be as flat as it likes
    crossing = ax + (y - ay) * (bx - ax) / rise
    inside: NDArray[np.bool_] = np.logical_xor.reduce(spans & (x < crossing), axis=1)
    return inside


def crosses_itself(polygon: Sequence[tuple[float, float]]) -> bool:
    """Whether two edges of a closed polygon meet anywhere but at the corner they share, or a corner is there twice.

    Args:
        polygon: Corners in order, not closed; at least three. Of so few points that every pair of edges is looked at.
    """
    n = len(polygon)
    edges = [(polygon[k], polygon[(k + 1) % n]) for k in range(n)]
    if any(a == b for a, b in edges):
        return True
    for i, (a, b) in enumerate(edges):
        for j in range(i + 1, n):
            c, d = edges[j]
            if j == i + 1 or (i == 0 and j == n - 1):  # neighbours: may only not run back over each other
                shared, one, two = (b, a, d) if j == i + 1 else (a, b, c)
                if _turn(shared, one, two) == 0 and _along(shared, one, two) > 0:
                    return True
            elif _meet(a, b, c, d):
                return True
    return False


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> int:
    """Which way a path from a by b to c turns: 1, -1, or 0 where it goes straight on or back."""
    area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
    return (area > 1e-12) - (area < -1e-12)


def _along(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[0] - a[0]) + (b[1] - a[1]) * (c[1] - a[1])


def _meet(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float], d: tuple[float, float]) -> bool:
    """Whether the segments a b and c d have a point in common."""
    turns = _turn(a, b, c), _turn(a, b, d), _turn(c, d, a), _turn(c, d, b)
    if turns[0] * turns[1] < 0 and turns[2] * turns[3] < 0:
        return True
    ends = ((a, b, c), (a, b, d), (c, d, a), (c, d, b))
    return any(turn == 0 and _along(p, one, two) <= 0 for turn, (one, two, p) in zip(turns, ends, strict=True))


def rays_enter(origins: Floats, throughs: Floats, boxes: Floats) -> Floats:
    """Distances `(P, N)` beyond `throughs` at which rays from `origins` through them meet boxes; infinite where missed.

    The part of a ray before its second point doesn't count; a box that holds that point is met at 0.

    Args:
        origins: `(P, 2)`.
        throughs: `(P, 2)`.
        boxes: `(4, N)` left, top, right, bottom.

    Returns:
        Infinite as well where the two points coincide or anything isn't a number. Source: slab method (Kay and Kajiya,
        1986).
    """
    with np.errstate(all="ignore"):
        step = throughs - origins
        length = np.hypot(step[:, :1], step[:, 1:])
        step = step / length
        step = np.where(np.abs(step) < 1e-9, 1e-9, step)
        # Along x and along y at once, `(2, P, N)`: how far it is to the two sides of each box.
        at, way = throughs.T[:, :, None], step.T[:, :, None]
        one, other = ((side[:, None] - at) / way for side in (boxes[:2], boxes[2:]))
        near = np.maximum(np.maximum(*np.minimum(one, other)), 0.0)
        far = np.minimum(*np.maximum(one, other))
        return np.asarray(np.where((near <= far) & (length >= 1e-6), near, np.inf), np.float64)


def as_array(boxes: Sequence[Box]) -> FloatArray:
    """Boxes as `(N, 4)`, also when there are none."""
    # Number by number: NumPy is three times as slow to read tuples.
    return np.fromiter(chain.from_iterable(boxes), np.float32).reshape(-1, 4)


def as_box(row: FloatArray) -> Box:
    """One row of a box array as a plain tuple."""
    x1, y1, x2, y2 = (float(v) for v in row)
    return x1, y1, x2, y2
