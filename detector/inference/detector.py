"""Two looks at a frame, the whole and each person closely: a `Frame` enters, one set of `Detections` leaves."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from detector.config import Analysis
from detector.geometry import as_array, as_box, intersections, iou
from detector.inference.axes import sharpened
from detector.inference.decode import Layout, decode, suppress
from detector.inference.letterbox import Letterbox
from detector.inference.turns import Turns, first
from detector.inference.zoom import missed_of, within, zoom_square
from detector.media.pictures import Bgr, Picture
from detector.values import (
    ACT_BROWSE,
    ACT_PHOTO,
    ACT_TRAITS,
    KEYPOINTS,
    PERSON,
    PHONE,
    SCANNER,
    Box,
    Detections,
    FloatArray,
    Frame,
)


class Network(Protocol):
    """Raw output for an input picture.

    Attributes:
        layout: What the channels of the output mean.
        input_size: The one height and width it takes, if any.
        few_sizes: Whether each further size of input costs it much.
    """

    layout: Layout
    input_size: tuple[int, int] | None
    few_sizes: bool

    def __call__(self, tensor: NDArray[np.float32], /) -> NDArray[np.float32]:
        """Raw output, of the shape that `layout` says, for an input `(1, 3, H, W)` RGB 0..1."""


class SceneDetector:
    """Looks at the whole frame for people and parcels, and at each person closely for what is in the hand."""

    def __init__(self, network: Network, thresholds: Mapping[str, float], settings: Analysis) -> None:
        self._network = network
        self._thresholds = thresholds
        self._settings = settings
        self._own = threading.local()

    def detect(self, frame: Frame, people: Iterable[Box] = (), turns: Turns | None = None) -> Detections:
        """Objects of a frame in its pixels: see `looker.Detector`."""
        take = None if turns is None else partial(turns.take, at=frame.captured_at)
        return self.look(frame.picture, as_array(list(people)), self._thresholds, take or first)

    def look(
        self,
        picture: Picture,
        people: FloatArray,
        thresholds: Mapping[str, float],
        take: Callable[[FloatArray, int], NDArray[np.intp]] = first,
    ) -> Detections:
        """Objects of a picture.

        Args:
            picture: Which; it is converted as far as needed and no further.
            people: `(N, 4)` boxes to look at closely beside those found, as far as there is room.
            thresholds: Least score by label.
            take: Chooses, of the boxes of so many who are seen, whom to look at closely: indices of at most so many.
        """
        if min(picture.size) < 2:
            return Detections.empty()
        whole = self._run(picture, self._settings.frame_side, self._network.input_size, thresholds)
        acts = np.full_like(whole.traits[:, ACT_TRAITS], np.nan)
        devices = []
        seen, missed = whole.of(PERSON).boxes, missed_of(whole.of(PERSON).boxes, people)
        chosen = take(seen, self._settings.zooms)
        # Of who isn't seen no close look tells the act: where they were has to wait for those who are.
        where_missed = missed[first(missed, self._settings.zooms - len(chosen))]
        for box in np.concatenate([seen[chosen], where_missed]):
            close = self._zoom(picture, as_box(box), thresholds)
            devices.append(close[(close.class_ids == PHONE) | (close.class_ids == SCANNER)])
            # Exactly equal: the box to zoom at is a copy of the detection's, unless it is of somebody missed.
            acts[(whole.class_ids == PERSON) & (whole.boxes == box).all(1)] = acts_of(box, close.of(PERSON))
        # What the hands do shows from near alone: from afar nothing is said of it.
        whole.traits[:, ACT_TRAITS] = acts
        if self._settings.zooms and len(chosen) < len(seen):
            left = np.delete(seen, chosen, axis=0)
            is_left = (whole.boxes[:, None] == left).all(2).any(1)
            whole = replace(whole, passed_over=(whole.class_ids == PERSON) & is_left)
        return sharpened(merged(whole, Detections.joined(devices)), picture.luma())

    def _zoom(self, picture: Picture, box: Box, thresholds: Mapping[str, float]) -> Detections:
        left, top, right, bottom = within(picture.size, *zoom_square(box))
        if min(right - left, bottom - top) < 8:
            return Detections.empty()
        crop, side = picture.cropped(left, top, right, bottom), self._settings.zoom_side
        square = (side, side) if self._network.few_sizes else None  # also of whom the picture's border cuts off
        found = self._run(Bgr(crop), side, self._network.input_size or square, thresholds)
        return replace(found, boxes=found.boxes + np.array([left, top, left, top], np.float32), keypoints=None)

    def _run(
        self, picture: Picture, side: int, size: tuple[int, int] | None, thresholds: Mapping[str, float]
    ) -> Detections:
        if not hasattr(self._own, "letterbox"):
            self._own.letterbox = Letterbox()
        tensor, placement = self._own.letterbox(picture, side, size)
        found = decode(self._network(tensor), thresholds, self._network.layout, tensor.shape[2:])
        boxes = np.clip(placement.to_picture(found.boxes), 0, np.array(picture.size * 2, np.float32))
        keypoints = found.keypoints
        if keypoints is not None:
            points = placement.to_picture(keypoints[..., [0, 1, 0, 1]].reshape(-1, 4))[:, :2]
            keypoints = np.concatenate([points.reshape(-1, KEYPOINTS, 2), keypoints[..., 2:]], 2)
        return replace(found, boxes=boxes, keypoints=keypoints)


def acts_of(person: FloatArray, close: Detections) -> FloatArray:
    """What the closer look at a person says of their act, `(4,)`; NaN where it doesn't see that person.

    Args:
        person: `(4,)` the box that was looked at.
        close: People that the closer look found, in the same pixels; others may stand in it as well.
    """
    x, y, side = zoom_square(as_box(person))
    within = np.clip(person, (x, y, x, y), (x + side, y + side, x + side, y + side)).astype(np.float32)
    overlap = iou(within[None], close.boxes)[0]
    if not len(close) or overlap.max() < 0.5:
        return np.full(ACT_BROWSE - ACT_PHOTO + 1, np.nan, np.float32)
    return close.traits[overlap.argmax(), ACT_TRAITS]


def merged(whole: Detections, close: Detections) -> Detections:
    """One set from both looks; of two devices at one place the surer stays, whichever kind it is.

    A device seen at both scales gives boxes of different fit, and a phone may look like a scanner at one of them, so
    devices are suppressed across kinds and by the share of the smaller box that is covered.
    """
    both = Detections.joined([whole, close])
    device = (both.class_ids == PHONE) | (both.class_ids == SCANNER)
    devices, others = both[device], both[~device]
    order = suppress(devices.boxes, devices.scores, np.zeros(len(devices), np.int64), 0.5)
    kept: list[int] = []
    for k in order:
        box = devices.boxes[k : k + 1]
        if kept:
            rivals = devices.boxes[kept]
            common = intersections(box, rivals)[0]
            smaller = np.minimum(_area(box), _area(rivals))
            if (common > 0.6 * smaller).any():
                continue
        kept.append(int(k))
    return Detections.joined([others, devices[np.array(kept, np.int64)]])


def _area(boxes: FloatArray) -> FloatArray:
    return np.asarray((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]), np.float32)
