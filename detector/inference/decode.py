"""Raw network output to detections in input pixels: threshold, boxes, then suppression within each class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.values import KEYPOINTS, LABELS, PERSON, TRAITS, UNKNOWN_TRAITS, Detections, FloatArray

STRIDES = (8, 16, 32)  # input pixels from place to place, of each level of places that boxes are told from


@dataclass(frozen=True, slots=True)
class Layout:
    """What the channels of a network's output mean; the first ones are the box.

    Attributes:
        labels: For each class of the network, which of `LABELS` it is; -1 for one that nothing is made of.
        traits: For each channel after the classes, which of `TRAITS` it is.
        keypoints: How many keypoints follow, and how many numbers each is; `(17, 3)` are a person's, x and y in input
            pixels and a score, others are passed over.
        end2end: The network chooses among its boxes itself: `(1, N, C)` x1, y1, x2, y2, score, class, then keypoints,
            instead of `(1, C, N)`.
        bins: A box is told by a distribution over so many bins for each of its sides, as `sides` reads them; 0 where it
            is four numbers.
    """

    labels: tuple[int, ...] = tuple(range(len(LABELS)))
    traits: tuple[int, ...] = tuple(range(len(TRAITS)))
    keypoints: tuple[int, int] = (0, 0)
    end2end: bool = False
    bins: int = 0

    @property
    def channels(self) -> int:
        """How many numbers are said of each box."""
        classes = 2 if self.end2end else len(self.labels)
        return self.of_box + classes + len(self.traits) + self.keypoints[0] * self.keypoints[1]

    @property
    def of_box(self) -> int:
        """How many of them say where it is."""
        return 4 * max(self.bins, 1)

    def fits(self, shape: tuple[int, ...]) -> bool:
        """Whether a raw output of this shape can be decoded."""
        return len(shape) == 3 and shape[0] == 1 and shape[2 if self.end2end else 1] == self.channels

    def __str__(self) -> str:
        return f"(1, N, {self.channels})" if self.end2end else f"(1, {self.channels}, N)"


SCENE = Layout()
SAME_IOU = 0.5  # of two boxes of a class that overlap more than this, the lower score goes


def decode(
    raw: NDArray[np.float32],
    thresholds: Mapping[str, float],
    layout: Layout = SCENE,
    size: tuple[int, int] | None = None,
) -> Detections:
    """Detections of one picture.

    Args:
        raw: The network's output, of the shape its layout says; boxes are centre x, centre y, width and height in
            input pixels, or corners where the network chooses itself.
        thresholds: Least score by label.
        layout: What the channels mean.
        size: Height and width of the network's input; needed where boxes are distributions.

    Returns:
        Detections in input pixels, highest score first.
    """
    # Class -1 meets the last of these, which no score reaches.
    least = np.array([*(thresholds[label] for label in LABELS), np.inf], np.float32)
    if layout.end2end:
        told, said = raw[0].T, 6
        theirs, best = told[5].astype(np.int64), told[4]
        places = np.arange(told.shape[1])
    else:
        first, said = layout.of_box, layout.of_box + len(layout.labels)
        # Nearly all of the thousands of boxes are nothing: they go before their classes are compared.
        places = np.flatnonzero(raw[0, first:said].max(0) >= least.min())
        told = raw[0].take(places, axis=1)
        theirs, best = told[first:said].argmax(0), told[first:said].max(0)
    class_ids = np.array(layout.labels, np.int64)[theirs]
    keep = np.flatnonzero(best >= least[class_ids])
    told, class_ids, best, places = told.take(keep, axis=1), class_ids[keep], best[keep], places[keep]
    if layout.end2end:
        boxes = told[:4].T.astype(np.float32)
    elif layout.bins:
        assert size is not None, "boxes told by distributions lie on the places of an input of some size"
        boxes = corners(told[: layout.of_box].reshape(4, layout.bins, -1), places, size)
    else:
        half = told[2:4] / 2
        boxes = np.concatenate([told[:2] - half, told[:2] + half]).T.astype(np.float32)
    chosen = suppress(boxes, best, class_ids, SAME_IOU)
    rows, class_ids = told[said:, chosen].T, class_ids[chosen]
    traits = np.tile(np.array(UNKNOWN_TRAITS, np.float32), (len(rows), 1))
    traits[:, layout.traits] = rows[:, : len(layout.traits)]
    keypoints = None
    if layout.keypoints == (KEYPOINTS, 3):
        keypoints = rows[:, len(layout.traits) :].reshape(-1, KEYPOINTS, 3).copy()
        keypoints[class_ids != PERSON] = np.nan
    return Detections(boxes[chosen], best[chosen], class_ids, traits, keypoints)


def corners(distributions: FloatArray, places: NDArray[np.int64], size: tuple[int, int]) -> FloatArray:
    """Boxes told by how far each side is from a place, as a distribution over whole steps of the place's stride.

    The mean of the distribution is the distance (Li et al. 2020, Generalized Focal Loss, eq. 6). Places lie at the
    middles of squares of 8, then of 16, then of 32 pixels, row by row. Networks are exported without this (`models/
    bare.py`): reckoned for all of the thousands of places it took a fifth of their time.

    Args:
        distributions: `(4, bins, K)` logarithms, up to a constant: left, top, right, bottom.
        places: `(K,)` which place of the network's output each is of.
        size: Height and width of the network's input.

    Returns:
        `(K, 4)` x1, y1, x2, y2 in input pixels.
    """
    height, width = size
    strides = np.array(STRIDES)
    ends = np.cumsum((height // strides) * (width // strides))
    level = np.searchsorted(ends, places, side="right")
    stride = strides[level]
    row, column = np.divmod(places - np.concatenate([[0], ends])[level], width // stride)
    shares = np.exp(distributions - distributions.max(1, keepdims=True))
    steps = np.arange(shares.shape[1], dtype=np.float32)
    left, top, right, bottom = np.einsum("sbk,b->sk", shares, steps) / shares.sum(1)
    x, y = column.astype(np.float32) + np.float32(0.5), row.astype(np.float32) + np.float32(0.5)
    boxes = np.stack([x - left, y - top, x + right, y + bottom]) * stride.astype(np.float32)
    return np.asarray(boxes.T, np.float32)


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
    above_zero = boxes[:, :2] - boxes[:, :2].min(0)
    corner_and_size = np.concatenate([above_zero, boxes[:, 2:] - boxes[:, :2]], 1)
    kept = cv2.dnn.NMSBoxesBatched(corner_and_size.tolist(), scores.tolist(), class_ids.tolist(), 0.0, iou)
    order = np.asarray(kept, np.int64).reshape(-1)
    return order[np.argsort(-scores[order], kind="stable")]
