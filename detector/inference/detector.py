"""Two looks at a frame, the whole and each person closely: a `Frame` enters, one set of `Detections` leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from detector.config import Analysis
from detector.geometry import as_array, as_box, intersections
from detector.inference.decode import decode, suppress
from detector.inference.letterbox import letterbox
from detector.inference.zoom import cut_square, people_to_zoom, zoom_square
from detector.values import PERSON, PHONE, SCANNER, Box, Detections, FloatArray, Frame

Network = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class SceneDetector:
    """Looks at the whole frame for people and parcels, and at each person closely for what is in the hand."""

    def __init__(self, network: Network, thresholds: Mapping[str, float], settings: Analysis) -> None:
        self._network = network
        self._thresholds = thresholds
        self._settings = settings

    def detect(self, frame: Frame, people: Iterable[Box] = ()) -> Detections:
        """Objects of a frame in its pixels; `people` known from before are looked at closely as well."""
        return self.look(frame.image, as_array(list(people)), self._thresholds)

    def look(self, image: NDArray[np.uint8], people: FloatArray, thresholds: Mapping[str, float]) -> Detections:
        """Objects of a picture.

        Args:
            image: `(H, W, 3)` BGR uint8.
            people: `(N, 4)` boxes to look at closely beside those found.
            thresholds: Least score by label.
        """
        if min(image.shape[:2]) < 2:
            return Detections.empty()
        whole = self._run(image, self._settings.frame_side, thresholds)
        close = [
            self._zoom(image, as_box(box), thresholds)
            for box in people_to_zoom(whole.of(PERSON).boxes, people, self._settings.zooms)
        ]
        return merged(whole, Detections.joined(close))

    def _zoom(self, image: NDArray[np.uint8], box: Box, thresholds: Mapping[str, float]) -> Detections:
        crop, left, top = cut_square(image, *zoom_square(box))
        if min(crop.shape[:2]) < 8:
            return Detections.empty()
        found = self._run(crop, self._settings.zoom_side, thresholds)
        shift = np.array([left, top, left, top], np.float32)
        found = Detections(found.boxes + shift, found.scores, found.class_ids, found.traits)
        return found[(found.class_ids == PHONE) | (found.class_ids == SCANNER)]

    def _run(self, image: NDArray[np.uint8], side: int, thresholds: Mapping[str, float]) -> Detections:
        tensor, placement = letterbox(image, side)
        found = decode(self._network(tensor), thresholds)
        boxes = placement.to_picture(found.boxes)
        height, width = image.shape[:2]
        boxes = np.clip(boxes, 0, np.array([width, height] * 2, np.float32))
        return Detections(boxes, found.scores, found.class_ids, found.traits)


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
