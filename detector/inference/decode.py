"""Raw network output to detections in input pixels: threshold, then suppression within each class."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.values import LABELS, TRAITS, Detections, FloatArray

CHANNELS = 4 + len(LABELS) + len(TRAITS)


def decode(raw: NDArray[np.float32], thresholds: Mapping[str, float], *, nms_iou: float = 0.5) -> Detections:
    """Detections of one picture.

    Args:
        raw: `(1, 13, N)`: centre x, centre y, width, height in input pixels, a score for each label, then traits.
        thresholds: Least score by label.
        nms_iou: Of two boxes of a class that overlap more than this, the lower score goes.

    Returns:
        Detections in input pixels, highest score first.
    """
    rows = raw[0].T
    scores = rows[:, 4 : 4 + len(LABELS)]
    class_ids = scores.argmax(1)
    best = scores[np.arange(len(rows)), class_ids]
    keep = best >= np.array([thresholds[label] for label in LABELS], np.float32)[class_ids]
    rows, class_ids, best = rows[keep], class_ids[keep].astype(np.int64), best[keep]
    half = rows[:, 2:4] / 2
    boxes = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], 1).astype(np.float32)
    chosen = suppress(boxes, best, class_ids, nms_iou)
    return Detections(boxes[chosen], best[chosen], class_ids[chosen], rows[chosen, 4 + len(LABELS) :])


def suppress(boxes: FloatArray, scores: FloatArray, class_ids: NDArray[np.int64], iou: float) -> NDArray[np.int64]:
    """Indices that survive non-maximum suppression within each class, highest score first.

    Args:
        boxes: `(N, 4)` x1, y1, x2, y2.
        scores: `(N,)`.
        class_ids: `(N,)`.
        iou: Overlap above which the lower score goes.
    """
    if not len(boxes):
        return np.zeros(0, np.int64)
    # OpenCV keeps the classes apart by moving each class beyond the largest coordinate; below zero they would meet.
    corners = boxes[:, :2] - boxes[:, :2].min(0)
    corner_and_size = np.concatenate([corners, boxes[:, 2:] - boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxesBatched(corner_and_size.tolist(), scores.tolist(), class_ids.tolist(), 0.0, iou)
    order = np.asarray(kept, np.int64).reshape(-1)
    return order[np.argsort(-scores[order], kind="stable")]
