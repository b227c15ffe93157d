"""The picture that goes with an alert: a frame and an update enter, a small JPEG with labels blurred leaves.

All drawing is here. Captions are left to the page, which knows the reader's language.
"""

from __future__ import annotations

import cv2

from detector.errors import LabelwatchError
from detector.pixelation import blurred, coarse
from detector.values import Frame, IncidentUpdate

WIDTH = 640
QUALITY = 72
# BGR: red for what offends, amber for what is concerned, white for the rest.
COLOURS = {"phone": (60, 60, 230), "person": (60, 170, 250), "parcel": (250, 250, 250), "up": (60, 170, 250)}
PLAIN = (190, 190, 190)


def snapshot_jpeg(frame: Frame, update: IncidentUpdate) -> bytes:
    """The frame at most 640 pixels wide, every known label blurred, the incident's boxes drawn.

    Parcels are made coarse too, so that a label that went undetected can't be read either. All this happens before
    anything else, on the full-size picture, so that no label is ever encoded.
    """
    image = coarse(frame.image, list(update.after.private))
    image = blurred(image, [box for what, box in update.after.boxes if what == "label"])
    height, width = image.shape[:2]
    scale = min(1.0, WIDTH / width)
    small = cv2.resize(
        image, (max(1, round(width * scale)), max(1, round(height * scale))), interpolation=cv2.INTER_AREA
    )
    for what, box in update.after.boxes:
        if what != "label":
            x1, y1, x2, y2 = (round(v * scale) for v in box)
            cv2.rectangle(small, (x1, y1), (x2, y2), COLOURS.get(what, PLAIN), 2, cv2.LINE_AA)
    fine, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not fine:
        raise LabelwatchError("the snapshot can't be encoded")
    return bytes(data)
