"""Pictures that leave the box: a frame and where its labels and parcels are enter, a small blurred JPEG leaves.

All drawing is here. Captions are left to the page, which knows the reader's language.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from detector.errors import LabelwatchError
from detector.media.pixelation import redacted
from detector.values import Box, Frame, Incident, IncidentUpdate, Scene

WIDTH = 640
QUALITY = 72
# BGR: red for what offends, amber for what is concerned, white for the rest.
COLOURS = {"phone": (60, 60, 230), "person": (60, 170, 250), "parcel": (250, 250, 250), "up": (60, 170, 250)}
PLAIN = (190, 190, 190)


def is_of(frame: Frame, incident: Incident) -> bool:
    """Whether an incident's boxes, if it has any, are of this frame.

    What a finding was when it was last seen may be told later: by then its boxes are of no use, and others may lie
    beside the places that were to be blurred.
    """
    return not incident.boxes or frame.is_at(incident.ended_at)


def snapshot_jpeg(frame: Frame, update: IncidentUpdate) -> bytes:
    """The frame at most 640 pixels wide, every known label blurred, the incident's boxes drawn.

    Parcels are made coarse too, so that a label that went undetected can't be read either. All this happens before
    anything else, on the full-size picture, so that no label is ever encoded.
    """
    labels = [box for what, box in update.after.boxes if what == "label"]
    small, scale = _small(frame.image, labels, update.after.private, WIDTH)
    for what, box in update.after.boxes:
        if what != "label":
            x1, y1, x2, y2 = (round(v * scale) for v in box)
            cv2.rectangle(small, (x1, y1), (x2, y2), COLOURS.get(what, PLAIN), 2, cv2.LINE_AA)
    return _encoded(small, QUALITY)


def view_jpeg(scene: Scene, frame: Frame, side: int, most_bytes: int) -> bytes:
    """What a camera sees, without boxes, redacted as a snapshot is: labels blurred and every known parcel coarse.

    Args:
        scene: What is in the frame.
        frame: Of the same instant.
        side: The longer side of the picture at most, pixels.
        most_bytes: It is compressed the more until it is no larger.

    Raises:
        LabelwatchError: It can't be encoded, or not as small.
    """
    height, width = frame.image.shape[:2]
    width_at_most = side if width >= height else max(1, side * width // height)
    small, _ = _small(frame.image, scene.labels, [parcel.box for parcel in scene.parcels], width_at_most)
    for quality in (QUALITY, 50, 25):
        data = _encoded(small, quality)
        if len(data) <= most_bytes:
            return data
    raise LabelwatchError("the picture can't be made small enough")


def _small(
    picture: NDArray[np.uint8], labels: Sequence[Box], parcels: Sequence[Box], at_most: int
) -> tuple[NDArray[np.uint8], float]:
    """A redacted picture of a width at most, and its scale. It is redacted first, at its full size."""
    image = redacted(picture, parcels, labels)
    height, width = image.shape[:2]
    scale = min(1.0, at_most / width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8), scale


def _encoded(picture: NDArray[np.uint8], quality: int) -> bytes:
    fine, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not fine:
        raise LabelwatchError("the picture can't be encoded")
    return bytes(data)
