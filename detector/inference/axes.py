"""The way labels lie, to a few degrees: a grey picture and label boxes enter, angles leave.

The network tells how text runs only roughly (median error 25 degrees). The pixels tell the axes of a label far better,
outline and text lines alike, but not which of the two the text runs along. So the structure tensor gives the axes, and
the network chooses between them.
"""

from __future__ import annotations

from math import ceil, floor, isfinite, pi

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.geometry import as_box
from detector.values import ANGLE_COS, ANGLE_SIN, LABEL, Box, Detections

LEAST_PX = (
    12.0  # side of the square of a label's area: smaller ones show no axes (median error 20 degrees of at most 45)
)
LEAST_COHERENCE = 0.15  # below, edges run in all directions
MOST = 24  # labels measured in one picture, the largest; some 0.04 ms each


def sharpened(found: Detections, grey: NDArray[np.uint8]) -> Detections:
    """The detections with the angle traits of labels measured anew; NaN where neither pixels nor network can tell.

    Args:
        found: Detections in pixels of `grey`.
        grey: The picture's brightness, `(H, W)`.
    """
    labels = np.flatnonzero(found.class_ids == LABEL)
    if not len(labels) or np.isnan(found.traits[labels, ANGLE_COS]).all():
        return found
    traits = found.traits.copy()
    sides = np.sqrt(np.prod(found.boxes[labels, 2:] - found.boxes[labels, :2], axis=1))
    order = labels[np.argsort(-sides, kind="stable")]
    traits[labels, ANGLE_COS] = traits[labels, ANGLE_SIN] = np.nan
    for k in order[:MOST]:
        said = _doubled(found.traits[k])
        axes = label_axes(grey, as_box(found.boxes[k]))
        if axes is None or said is None:
            continue
        angle = axes if np.cos(2 * axes - said) >= 0 else axes + pi / 2
        traits[k, ANGLE_COS], traits[k, ANGLE_SIN] = (1 + np.cos(2 * angle)) / 2, (1 + np.sin(2 * angle)) / 2
    return Detections(found.boxes, found.scores, found.class_ids, traits, found.keypoints)


def label_axes(grey: NDArray[np.uint8], box: Box) -> float | None:
    """Angle of one of a label's two axes from the picture's x axis, counter-clockwise as one sees it, 0..pi/2.

    Gradients of opposite and of perpendicular direction belong to one pair of axes, so they are summed as fourth powers
    of complex numbers, weighted by their energy and by nearness to the middle of the box (Bigün and Granlund, 1987, for
    the second power).

    Returns:
        The angle; `None` where the box is too small or has no clear axes.
    """
    if not (box[2] - box[0]) * (box[3] - box[1]) >= LEAST_PX**2:  # NaN neither
        return None
    height, width = grey.shape
    x1, y1 = max(0, floor(box[0])), max(0, floor(box[1]))
    x2, y2 = min(width, ceil(box[2])), min(height, ceil(box[3]))
    if min(x2 - x1, y2 - y1) < 5:
        return None
    cut = grey[y1:y2, x1:x2]
    along, down = cv2.Scharr(cut, cv2.CV_32F, 1, 0), cv2.Scharr(cut, cv2.CV_32F, 0, 1)
    bell = np.outer(_bell(y2 - y1), _bell(x2 - x1))
    energy = (along * along + down * down) * bell
    total = float(energy.sum())
    if not total > 0:
        return None
    squared = (along + 1j * down) ** 2
    fourth = complex((bell * squared**2 / np.maximum(np.abs(squared), 1e-6)).sum()) / total
    if not isfinite(abs(fourth)) or abs(fourth) < LEAST_COHERENCE:
        return None
    return float((-np.angle(fourth) / 4) % (pi / 2))  # the picture's y runs down


def _bell(n: int) -> NDArray[np.float32]:
    place = (np.arange(n, dtype=np.float32) - (n - 1) / 2) / (0.35 * n)
    return np.asarray(np.exp(-(place**2)), np.float32)


def _doubled(traits: NDArray[np.float32]) -> float | None:
    """Twice the angle that the network says."""
    cosine, sine = 2 * float(traits[ANGLE_COS]) - 1, 2 * float(traits[ANGLE_SIN]) - 1
    return float(np.arctan2(sine, cosine)) if isfinite(cosine) and isfinite(sine) else None
