"""Detections of one frame enter, the `Scene` leaves: people, parcel slots, and whose hand each device is in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from detector.geometry import as_box, centre, contains, grown
from detector.tracking.parcels import ParcelSlots
from detector.tracking.people import PeopleTracker
from detector.tracking.view import ViewMeter
from detector.values import (
    CALL,
    LABEL,
    LABELS,
    PARCEL,
    PERSON,
    PHONE,
    PHOTO,
    SCANNER,
    UNKNOWN_TRAITS,
    Box,
    Detections,
    Device,
    Frame,
    Person,
    Scene,
)


class SceneTracker:
    """Owns the ids of one camera."""

    def __init__(self, people: PeopleTracker | None = None, parcels: ParcelSlots | None = None) -> None:
        self._people = people or PeopleTracker()
        self._parcels = parcels or ParcelSlots()
        self._view = ViewMeter()

    @property
    def people(self) -> tuple[Box, ...]:
        """Boxes of the people tracked now."""
        return self._people.boxes

    def update(self, frame: Frame, detections: Detections) -> Scene:
        """Match a frame's detections to what was known; time is the frame's.

        What makes no sense among the detections is put right or left out (`sound`).
        """
        at, detections = frame.captured_at, sound(detections, frame.size)
        people, ended = self._people.update(detections.of(PERSON), at, frame.size)
        parcels = self._parcels.update(
            detections.of(PARCEL), [person.box for person in people], at, detections.of(LABEL)
        )
        held = detections[(detections.class_ids == PHONE) | (detections.class_ids == SCANNER)]
        devices = tuple(
            Device(
                LABELS[held.class_ids[k]],
                box := as_box(held.boxes[k]),
                float(held.scores[k]),
                holder_of(box, people),
                photo=float(held.traits[k, PHOTO]),
                call=float(held.traits[k, CALL]),
            )
            for k in range(len(held))
        )
        found = detections.of(LABEL)
        labels, scores = tuple(map(tuple, found.boxes.tolist())), tuple(found.scores.tolist())
        view = self._view.look(frame.image, at)
        return Scene(
            frame.camera, at, frame.size, people, devices, parcels, labels, ended, view,
            label_scores=scores, newcomers=self._people.newcomers,
        )  # fmt: skip

    def learned(self) -> dict[str, Any]:
        """What the camera usually shows."""
        return self._view.learned()

    def recall(self, learned: dict[str, Any]) -> None:
        """Take up what an earlier tracker of this camera had learned."""
        self._view.recall(learned)


def sound(detections: Detections, size: tuple[int, int]) -> Detections:
    """The detections with nothing in them that later stages would have to doubt; here and nowhere else it is looked at.

    Rows stay that have a label, a finite score and a finite box that encloses some of the picture. Boxes are cut to
    the picture, scores and traits to 0..1; what is no number counts as not known (`UNKNOWN_TRAITS`).

    Args:
        detections: As a detector gave them.
        size: Width and height of the picture, pixels.
    """
    ids, finite = detections.class_ids, np.isfinite(detections.boxes).all(axis=1) & np.isfinite(detections.scores)
    found = detections[finite & (ids >= 0) & (ids < len(LABELS))]
    boxes = np.clip(found.boxes, 0, np.array(size * 2, np.float32))
    traits = np.where(np.isfinite(found.traits), np.clip(found.traits, 0, 1), np.array(UNKNOWN_TRAITS, np.float32))
    points = found.keypoints
    known = None if points is None else np.where(np.isfinite(points), points, np.float32(np.nan))
    cut = Detections(boxes, np.clip(found.scores, 0, 1), found.class_ids, traits, known)
    return cut[(boxes[:, :2] < boxes[:, 2:]).all(axis=1)]


def holder_of(device: Box, people: Sequence[Person]) -> int | None:
    """Whose hand a device is in: of the people whose grown box holds its centre, the one it lies most inside of.

    Hands reach out of a person's box, hence 15 % more on each side; `None` when nobody is near.
    """
    point = centre(device)
    best: tuple[float, int] | None = None
    for person in people:
        if not contains(grown(person.box, 0.15), point):
            continue
        x, _ = centre(person.box)
        off_axis = abs(point[0] - x) / max(person.box[2] - person.box[0], 1.0)
        if best is None or off_axis < best[0]:
            best = (off_axis, person.id)
    return best[1] if best else None
